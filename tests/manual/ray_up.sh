#!/usr/bin/env bash
# `ray up` with docs/cluster-local.yaml, a sweep across its nodes, `ray down`: against three SSH servers on addresses of a
# private network and process namespace, where nothing outside is seen or touched. The transcript of a run stands in ray_up.log.
#
#   sudo bash tests/manual/ray_up.sh PYTHON        # PYTHON has ltm installed; needs sshd, rsync, ip, unshare
set -euo pipefail
python=$(realpath -s "${1:?usage: ray_up.sh PYTHON}")
if [ "${LTM_INSIDE:-}" != yes ]; then
  export LTM_INSIDE=yes
  exec unshare --net --mount --pid --fork --mount-proc --propagation private bash "$0" "$python"
fi
here=$(cd "$(dirname "$0")/../.." && pwd)
bin=$(dirname "$python")
export PATH="$bin:$PATH" RAY_USAGE_STATS_ENABLED=0 RAY_AUTH_MODE=disabled
work=$(mktemp -d)
mkdir -p /tmp/ray /run/sshd ~/.ssh
mount -t tmpfs none /tmp/ray
mount -t tmpfs none ~/.ssh
ip link set lo up
for host in 1 2 3; do ip address add 10.99.0.$host/24 dev lo; done

ssh-keygen -q -t ed25519 -N '' -f ~/.ssh/key
cp ~/.ssh/key.pub ~/.ssh/authorized_keys
chmod 700 ~/.ssh && chmod 600 ~/.ssh/*
touch ~/.bash_profile
printf 'export PATH=%s:$PATH RAY_USAGE_STATS_ENABLED=0 RAY_AUTH_MODE=disabled PYTHONPATH=%s\n' "$bin" "$here" > "$work/profile"
mount --bind "$work/profile" ~/.bash_profile
ssh-keygen -q -t ed25519 -N '' -f "$work/host_key"
for host in 1 2 3; do
  /usr/sbin/sshd -h "$work/host_key" -o ListenAddress=10.99.0.$host -o PidFile="$work/sshd$host.pid" -o StrictModes=no -o UsePAM=no -o PermitRootLogin=yes
done

# The file of the documentation with these addresses. The "hosts" share their files and processes, so nothing is copied or installed,
# and a worker must not stop the head's processes first.
"$python" - "$here/docs/cluster-local.yaml" > "$work/cluster.yaml" <<'P'
import os, sys, yaml
config = yaml.safe_load(open(sys.argv[1]))
config["provider"] |= {"head_ip": "10.99.0.1", "worker_ips": ["10.99.0.2", "10.99.0.3"]}
config["auth"] = {"ssh_user": os.environ.get("USER", "root"), "ssh_private_key": os.path.expanduser("~/.ssh/key")}
config |= {"file_mounts": {}, "setup_commands": []}
for key in ("head_start_ray_commands", "worker_start_ray_commands"):
    config[key] = [command for command in config[key] if command != "ray stop"]
config["worker_start_ray_commands"] = [command + " --num-cpus=1" for command in config["worker_start_ray_commands"]]
yaml.safe_dump(config, sys.stdout)
P
cd "$work"
echo '$ ray up'
ray up --yes --no-config-cache --disable-usage-stats cluster.yaml 2>&1 | grep -vE '^\s*$' | tail -25
echo '$ nodes'
for _ in $(seq 20); do
  nodes=$("$python" -c 'import ray, logging; ray.init("10.99.0.1:6379", logging_level=logging.ERROR, log_to_driver=False); print(sum(n["Alive"] for n in ray.nodes()))' 2>/dev/null || echo 0)
  [ "$nodes" = 3 ] && break
  sleep 2
done
echo "$nodes nodes"
echo '$ ray exec: the sweep'
ray exec cluster.yaml "$python -m ltm.sweep +experiment=k_sweep seeds=4 training.max_epochs=20 tracking=off compute=cluster compute.address=10.99.0.1:6379 root=$work/shared" 2>&1 | tail -20
"$python" -m sweeps status "$work/shared/k_sweep"
"$python" -m sweeps verify "$work/shared/k_sweep"
echo '$ ray down'
ray down --yes cluster.yaml 2>&1 | tail -8
sleep 3
echo "raylets left: $(pgrep -c raylet || true)"
rows=$("$python" -c "from sweeps.store.ledger import Ledger; print(len(Ledger('$work/shared/k_sweep').runs()))")
[ "$nodes" = 3 ] && [ "$rows" = 64 ] && [ "$(pgrep -c raylet || true)" = 0 ] && echo "passed: 3 nodes, $rows seed runs, all down"
