"""What happens when a step calls a torch function on symbols: elements move as torch moves them, values are computed by nodes (:mod:`functions`)."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import torch

from ltm import filters
from ltm.engine.compiler.decays import RECURRENCES
from ltm.engine.compiler.ir import OPERATIONS
from ltm.engine.compiler.tracing.functions import COMPOSED, OWN, POINTWISE, PRIVATE, REDUCED, decayed, direct, free, reduced
from ltm.engine.compiler.tracing.tracer import Symbol, Tracer, Unsupported, leaves, line_of


def words(text: str) -> set[str]:
    return set(text.split())


INFORMATION = words("shape ndim size dim ndimension numel nelement __len__ device is_contiguous stride layout __hash__ __repr__ __format__")
MOVES = words("""__getitem__ reshape view flatten unflatten ravel squeeze unsqueeze transpose t T mT swapaxes swapdims permute movedim moveaxis
    expand expand_as view_as reshape_as broadcast_to broadcast_tensors chunk split split_with_sizes tensor_split hsplit vsplit unbind narrow
    select index_select take flip fliplr flipud roll rot90 repeat tile repeat_interleave diagonal clone contiguous unfold atleast_1d
    atleast_2d""")
"""Functions that only move elements: torch does them to the numbers."""

JOINS = words("cat concat concatenate stack hstack vstack dstack column_stack row_stack")
SHAPE_OF_ANOTHER = {"expand_as", "view_as", "reshape_as", "broadcast_tensors"}
VALUES = words("__bool__ __float__ __int__ __index__ __array__ __contains__ __complex__ item tolist numpy equal allclose is_nonzero")
SAME = {
    "truediv": "div", "divide": "div", "true_divide": "div", "multiply": "mul", "subtract": "sub", "negative": "neg", "absolute": "abs",
    "expit": "sigmoid", "less": "lt", "less_equal": "le", "greater": "gt", "greater_equal": "ge", "not_equal": "ne", "clip": "clamp",
    "mm": "matmul", "mv": "matmul", "bmm": "matmul", "dot": "matmul", "vdot": "matmul", "ger": "outer", "invert": "bitwise_not",
    "and": "bitwise_and", "or": "bitwise_or", "xor": "bitwise_xor", "sgn": "sign", "log_sigmoid": "logsigmoid",
    "type_as": "to", "float": "to", "double": "to", "__reversed__": "flip",
}  # fmt: skip

DECAYS = {filters.PATTERNS[decay].direct: decay for decay in RECURRENCES}


def call(tracer: Tracer, function: Callable[..., Any], args: tuple[Any, ...], kwargs: dict[str, Any]) -> Any:
    """The result of a torch function some of whose arguments are symbols."""
    name = getattr(function, "__name__", str(function))
    if name == "__get__":
        name = function.__self__.__name__  # type: ignore[attr-defined]
    if "input" in kwargs and not args:
        args = (kwargs.pop("input"),)
    for key in ("other", "exponent", "vec", "mat2"):
        if key in kwargs and len(args) == 1:
            args = (*args, kwargs.pop(key))
    if name in INFORMATION:
        return function(*args, **kwargs)
    if name in ("dtype", "is_floating_point"):
        return torch.float32 if name == "dtype" else True
    if name == "__iter__":
        return iter(moved(tracer, torch.Tensor.unbind, "unbind", args, kwargs))
    if name in MOVES or name in JOINS:
        return moved(tracer, function, name, args, kwargs)
    if name in VALUES:
        raise Unsupported(f"a branch on, or a number from, the value of a tensor ('{name.strip('_')}') ({line_of()})")
    if function is filters.direct:
        return direct(tracer, *args, **kwargs)
    if function is filters.free:
        return free(tracer, *args, **kwargs)
    if function in DECAYS:
        return decayed(tracer, DECAYS[function], *args, **kwargs)
    if name == "__setitem__":
        target, index, value = args
        return written(tracer, target, tracer.numbers(value), index)
    if name.startswith("__"):
        name = name.strip("_")
        if name[0] == "r" and name[1:] in ("add", "sub", "mul", "truediv", "div", "pow", "matmul"):
            name, args = name[1:], args[::-1]
        elif name[0] == "i" and name[1:] in ("add", "sub", "mul", "truediv", "div", "pow"):
            name = name[1:] + "_"
    name = name.removeprefix("special_")
    in_place = name.endswith("_") or kwargs.pop("inplace", False)
    name = name.rstrip("_")
    if name == "double":
        kwargs["dtype"] = torch.float64
    name = SAME.get(name, name)
    try:
        result = compute(tracer, function, name, args, kwargs)
    except TypeError as error:
        raise Unsupported(f"torch operation '{name}' with these arguments ({line_of()})") from error
    return written(tracer, args[0], result, ...) if in_place else result


def compute(tracer: Tracer, function: Callable[..., Any], name: str, args: tuple[Any, ...], kwargs: dict[str, Any]) -> Any:
    g = tracer.graph
    if name == "where" and function is torch.Tensor.where:
        args = (args[1], args[0], *args[2:])
    if name in ("add", "sub", "rsub") and (alpha := kwargs.pop("alpha", 1)) != 1:
        args = (args[0], tracer.point(lambda a: alpha * a, args[1]))
    if name in ("max", "min") and len(args) == 2 and isinstance(args[1], torch.Tensor):
        name += "imum"
    if name in ("fill", "copy"):
        return torch.broadcast_to(tracer.numbers(args[1]), args[0].shape).clone().as_subclass(Symbol)
    if name == "detach":
        result = tracer.point(lambda a: g("detach", a), *args)
        if not tracer.composed:
            tracer.hold(args[0])
            tracer.hold(result)
        return result
    if name in POINTWISE:
        return tracer.point(lambda *nodes: POINTWISE[name](g, *nodes), *args, **kwargs)
    if name in REDUCED:
        return reduced(tracer, name, *args, **kwargs)
    if name in OWN:
        return OWN[name](tracer, *args, **kwargs)
    if name in COMPOSED:
        with tracer.composing(), tracer:
            return COMPOSED[name](*args, **kwargs)
    if name in OPERATIONS and name not in PRIVATE:
        return tracer.point(lambda *nodes: g(name, *nodes), *args, **kwargs)
    raise Unsupported(f"torch operation '{name}' ({line_of()})")


def moved(tracer: Tracer, function: Callable[..., Any], name: str, args: tuple[Any, ...], kwargs: dict[str, Any]) -> Any:
    """A function that only moves elements, done to their numbers. They must not be taken for indices."""
    first, *rest = args
    if name in JOINS:
        first = [tracer.numbers(part) for part in first]
    if "out" in kwargs or (name not in SHAPE_OF_ANOTHER and any(isinstance(v, Symbol) for v in leaves((rest, kwargs)))):
        raise Unsupported(f"'{name.strip('_')}' by values that are computed ({line_of()})")
    result = function(first, *rest, **kwargs)
    if isinstance(result, torch.Tensor):
        return result.as_subclass(Symbol)
    return type(result)(part.as_subclass(Symbol) for part in result)


def written(tracer: Tracer, target: Any, numbers: torch.Tensor, index: Any) -> Any:
    """Write numbers into a symbol in place; views of it see them, as in torch."""
    if not isinstance(target, Symbol) or any(isinstance(v, Symbol) for v in leaves(index)):
        raise Unsupported(f"a write in place into a constant, or by a computed index ({line_of()})")
    target.as_subclass(torch.Tensor)[index] = numbers.as_subclass(torch.Tensor)
    if tracer.touched():
        raise Unsupported(f"a write in place into a parameter, a feature, a window of past states or what was detached ({line_of()})")
    return target
