#!/bin/bash
# A SLURM of two nodes of one core, each with an address and processes of its own, on this machine. All of it ends with this process:
#   unshare --net --mount --uts --pid --fork --kill-child --mount-proc --propagation private cluster.sh FOLDER
# FOLDER/ready is there once both nodes are. Commands: nsenter into the process, with SLURM_CONF=FOLDER/slurm.conf.
set -euo pipefail
folder=$1
export SLURM_CONF=$folder/slurm.conf PATH=$PATH:/usr/sbin
hostname head
mount -t tmpfs none /run
mkdir -p /run/netns /run/munge /tmp/ray "$folder"/{state,spool.n1,spool.n2}
printf '%s\n' '127.0.0.1 localhost' '10.99.0.254 head' '10.99.0.1 n1' '10.99.0.2 n2' >"$folder/hosts"
mount --bind "$folder/hosts" /etc/hosts
mount --bind /dev/null /etc/resolv.conf # no name is looked for elsewhere, which takes seconds
cat >"$SLURM_CONF" <<EOF
ClusterName=test
SlurmctldHost=head(10.99.0.254)
SlurmUser=root
SlurmdUser=root
AuthType=auth/munge
ProctrackType=proctrack/linuxproc
TaskPlugin=task/none
SelectType=select/cons_tres
SelectTypeParameters=CR_CPU
MpiDefault=none
StateSaveLocation=$folder/state
SlurmdSpoolDir=$folder/spool.%n
SlurmctldPidFile=/run/slurmctld.pid
SlurmdPidFile=/run/slurmd.%n.pid
SlurmctldLogFile=$folder/slurmctld.log
SlurmdLogFile=$folder/slurmd.%n.log
SlurmdParameters=config_overrides
KillWait=5
NodeName=n1 NodeAddr=10.99.0.1 CPUs=1 State=UNKNOWN
NodeName=n2 NodeAddr=10.99.0.2 CPUs=1 State=UNKNOWN
PartitionName=main Nodes=ALL Default=YES MaxTime=1-00:00:00 State=UP
EOF

ip link set lo up
ip link add br0 type bridge
ip addr add 10.99.0.254/24 dev br0
ip link set br0 up
head -c 1024 /dev/urandom >/run/munge/key
chmod 600 /run/munge/key
munged --key-file=/run/munge/key --log-file=/run/munge/log --pid-file=/run/munge/pid --seed-file=/run/munge/seed --socket=/run/munge/munge.socket.2
slurmctld -D >"$folder/slurmctld.out" 2>&1 &
for i in 1 2; do
  ip netns add n$i
  ip link add v$i type veth peer name eth0 netns n$i
  ip link set v$i master br0 up
  ip -n n$i link set lo up
  ip -n n$i addr add 10.99.0.$i/24 dev eth0
  ip -n n$i link set eth0 up
  # a shell is the first process of a node, which lets go of those whose parents are gone
  nsenter --net=/run/netns/n$i unshare --mount --uts --pid --fork --kill-child --mount-proc bash -c \
    "hostname n$i; mount -t tmpfs none /tmp/ray; slurmd -D -N n$i; true" >"$folder/slurmd.n$i.out" 2>&1 &
done
until [ "$(sinfo --noheader --Node --states=idle --format=%N 2>/dev/null | wc -l)" = 2 ]; do sleep 0.2; done
touch "$folder/ready"
wait
