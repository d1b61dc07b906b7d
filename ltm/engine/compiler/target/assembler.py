"""Compiles printed functions to LLVM. They use little of Python, and numba takes three times as long to find out what the printer knows.

A statement is an assignment, a loop over a ``range``, an ``if``, or a call. A value is a vector, a number of elements (a whole number, and none that is
divided is negative), a number of the kernel's type, an array of these, or a tuple of them. A variable that is given a value of another type is another one from there on.
"""

from __future__ import annotations

import ast
from collections.abc import Callable
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np
from llvmlite import ir
from numba import types
from numba.extending import intrinsic

from ltm.engine.compiler.target.vector import Emit, Vector, beginning, counted, operations

WHOLE = ir.IntType(64)

COMPARED = {ast.Lt: "<", ast.LtE: "<=", ast.Gt: ">", ast.GtE: ">=", ast.Eq: "==", ast.NotEq: "!="}


@cache
def trees(path: str) -> dict[str, ast.FunctionDef]:
    """The printed functions of a module, by name."""
    found = [part for part in ast.parse(Path(path).read_text()).body if isinstance(part, ast.FunctionDef)]
    return {f.name: f for f in found if any(isinstance(d, ast.Name) and d.id == "printed" for d in f.decorator_list)}


def printed(dtype: str, width: int) -> Callable[[Callable[..., None]], Any]:
    """The decorator of printed functions on vectors of this kind: other functions of a kernel, which numba compiles, can then call them."""
    kind = Vector(dtype, width)

    def decorated(function: Callable[..., None]) -> Any:
        path, scope = function.__code__.co_filename, function.__globals__

        def lower(context: Any, b: Any, signature: Any, args: Any) -> Any:
            given = [
                context.cast(b, value, t, types.int64) if isinstance(t, types.Integer) else beginning(context, b, t, value)
                for t, value in zip(signature.args, args, strict=True)
            ]
            Assembler(kind, context, b.module, path, scope).call(b, function.__name__, given)
            return context.get_dummy_value()

        def typed(*given: Any) -> Any:
            fitting = (
                t.dtype == kind.real if isinstance(t, types.Array) else isinstance(t, types.Integer | types.BaseTuple) for t in given
            )
            return (types.void(*given), lower) if all(fitting) else None

        return intrinsic(counted(typed, function.__code__.co_argcount, function.__name__))

    return decorated


class Assembler:
    """Puts printed functions into a module of LLVM, each once."""

    def __init__(self, kind: Vector, context: Any, module: Any, path: str, scope: dict[str, Any]) -> None:
        self.kind, self.context, self.module, self.path, self.scope = kind, context, module, path, scope

    def call(self, b: Any, name: str, args: list[Any]) -> None:
        b.call(self.function(name, [a.type for a in args]), args)

    def function(self, name: str, parameters: list[Any]) -> Any:
        full = f"{self.scope['__name__']}.{name}"
        if full in self.module.globals:
            return self.module.globals[full]
        function = ir.Function(self.module, ir.FunctionType(ir.VoidType(), parameters), full)
        function.linkage = "internal"
        function.attributes.add("noinline")
        for arg in function.args:
            if isinstance(arg.type, ir.PointerType):
                arg.add_attribute("noalias")
        Body(self, function, trees(self.path)[name])
        return function


class Body:
    """The statements of one function."""

    def __init__(self, assembler: Assembler, function: Any, tree: ast.FunctionDef) -> None:
        self.assembler, self.kind, self.scope = assembler, assembler.kind, assembler.scope
        self.operations = operations(self.kind.real.name, self.kind.width)
        self.first = ir.IRBuilder(function.append_basic_block("variables"))
        self.b = ir.IRBuilder(function.append_basic_block("begin"))
        self.emit = Emit(self.kind, assembler.context, self.b)
        self.known: dict[str, Any] = {arg.arg: value for arg, value in zip(tree.args.args, function.args, strict=True)}
        """Arguments, and what loops count."""
        self.variables: dict[str, Any] = {}
        start = self.b.block
        self.statements(tree.body)
        self.b.ret_void()
        self.first.branch(start)

    def statements(self, body: list[ast.stmt]) -> None:
        for statement in body:
            match statement:
                case ast.Assign(targets=[target], value=value):
                    self.assign(target, value)
                case ast.AugAssign(target=ast.Subscript() as target, op=ast.Add(), value=value):
                    where = self.element(target)
                    self.b.store(self.b.fadd(self.b.load(where), self.value(value)), where)
                case ast.For(target=ast.Name(id=name), iter=ast.Call(args=args)):
                    self.loop(name, args, statement.body)
                case ast.If(test=test, orelse=[]):
                    with self.b.if_then(self.value(test)):
                        self.statements(statement.body)
                case ast.Expr(value=ast.Call() as call):
                    self.value(call)
                case ast.Pass():
                    pass
                case _:
                    raise NotImplementedError(ast.unparse(statement))

    def assign(self, target: ast.expr, value: ast.expr) -> None:
        if isinstance(target, ast.Tuple):
            assert isinstance(value, ast.Tuple)
            for one, made in zip(target.elts, [self.value(part) for part in value.elts], strict=True):  # all are made before one is written
                self.write(one, made)
        else:
            self.write(target, self.value(value))

    def write(self, target: ast.expr, value: Any) -> None:
        if isinstance(target, ast.Subscript):
            self.b.store(value, self.element(target))
            return
        assert isinstance(target, ast.Name)
        self.known.pop(target.id, None)
        if target.id not in self.variables or self.variables[target.id].allocated_type != value.type:
            self.variables[target.id] = self.first.alloca(value.type)
        self.b.store(value, self.variables[target.id])

    def element(self, subscript: ast.Subscript) -> Any:
        """Where an element of an array lies."""
        return self.b.gep(self.value(subscript.value), [self.value(subscript.slice)])

    def loop(self, name: str, args: list[ast.expr], body: list[ast.stmt]) -> None:
        numbers = [self.value(arg) for arg in args]
        start, stop, step = (
            (numbers[0], numbers[1], numbers[2] if len(numbers) == 3 else WHOLE(1))
            if len(numbers) > 1
            else (WHOLE(0), numbers[0], WHOLE(1))
        )
        before = self.b.block
        head, inside, end = (self.b.append_basic_block(name) for name in ("head", "inside", "end"))
        self.b.branch(head)
        self.b.position_at_end(head)
        i = self.b.phi(WHOLE)
        i.add_incoming(start, before)
        self.b.cbranch(self.b.icmp_signed(">" if step.constant < 0 else "<", i, stop), inside, end)
        self.b.position_at_end(inside)
        self.known[name] = i
        self.statements(body)
        i.add_incoming(self.b.add(i, step, flags=("nsw",)), self.b.block)
        self.b.branch(head)
        self.b.position_at_end(end)

    def value(self, tree: ast.expr) -> Any:
        match tree:
            case ast.Name(id=name):
                return self.named(name)
            case ast.Constant(value=int(number)):
                return WHOLE(number)
            case ast.UnaryOp(op=ast.USub(), operand=ast.Constant(value=int(number))):
                return WHOLE(-number)
            case ast.BinOp(left=left, op=op, right=right):
                return self.whole(op, self.value(left), self.value(right))
            case ast.Compare(left=left, ops=[op], comparators=[right]):
                return self.b.icmp_signed(COMPARED[type(op)], self.value(left), self.value(right))
            case ast.BoolOp(op=op, values=[left, right]):
                return (self.b.and_ if isinstance(op, ast.And) else self.b.or_)(self.value(left), self.value(right))
            case ast.Subscript(value=array, slice=ast.Constant(value=int(i))) if not isinstance(self.value(array).type, ir.PointerType):
                return self.b.extract_value(self.value(array), i)
            case ast.Subscript():
                return self.b.load(self.element(tree))
            case ast.Call(func=ast.Name(id=name), args=args):
                return self.called(name, [self.value(arg) for arg in args])
        raise NotImplementedError(ast.unparse(tree))

    def named(self, name: str) -> Any:
        if name in self.known:
            return self.known[name]
        if name in self.variables:
            return self.b.load(self.variables[name])
        value = self.scope[name]
        return ir.Constant(self.kind.lane, float(value)) if isinstance(value, np.floating) else WHOLE(int(value))

    def whole(self, op: ast.operator, left: Any, right: Any) -> Any:
        match op:
            case ast.Add():
                return self.b.add(left, right, flags=("nsw",))
            case ast.Sub():
                return self.b.sub(left, right, flags=("nsw",))
            case ast.Mult():
                return self.b.mul(left, right, flags=("nsw",))
            case ast.FloorDiv():
                return self.b.udiv(left, right)
            case ast.Mod():
                return self.b.urem(left, right)
        raise NotImplementedError(type(op).__name__)

    def called(self, name: str, args: list[Any]) -> Any:
        if name in self.operations:
            return self.operations[name].code(self.emit, *args)
        if name == "int":
            return self.b.fptosi(args[0], WHOLE)
        if name == "anew":  # where an array begins, as LLVM cannot know it: what is read from here on is not read ahead of a loop
            return self.b.asm(ir.FunctionType(args[0].type, [args[0].type]), "", "=r,0", args, side_effect=True)
        if name in ("min", "max"):
            return self.b.select(self.b.icmp_signed("<" if name == "min" else ">", *args), *args)
        return self.assembler.call(self.b, name, args)
