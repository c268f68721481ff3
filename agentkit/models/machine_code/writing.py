"""Pieces of LLVM's assembly language that all kernels are written with.

Language reference: https://llvm.org/docs/LangRef.html.
"""

from __future__ import annotations

import struct
from collections.abc import Mapping, Sequence
from typing import Final


def number(value: float) -> str:
    """A float32 constant."""
    (rounded,) = struct.unpack("<f", struct.pack("<f", value))
    return "0x" + struct.pack(">d", rounded).hex().upper()


def splat(value: float) -> str:
    """A constant vector of 16 times the same number."""
    return f"splat (float {number(value)})"


def fields(names: Sequence[str], first: int) -> str:
    """Load fields of %job as i64 %name."""
    return "\n".join(
        f"  %{name}.p = getelementptr i64, ptr %job, i64 {first + index}\n  %{name} = load i64, ptr %{name}.p"
        for index, name in enumerate(names)
    )


def spread(name: str, kind: str, value: str) -> str:
    """A vector of 16 times the same value."""
    return (
        f"  %{name}.1 = insertelement <16 x {kind}> poison, {kind} {value}, i32 0\n"
        f"  %{name} = shufflevector <16 x {kind}> %{name}.1, <16 x {kind}> poison, <16 x i32> zeroinitializer"
    )


def indices(numbers: Sequence[int]) -> str:
    """A constant vector of whole numbers."""
    return "<" + ", ".join(f"i32 {each}" for each in numbers) + ">"


def largest_tile(tiles: Sequence[int], calls: Mapping[int, str], end: str) -> str:
    """`tryN` and `doN`: the largest tile that %left tokens fill is computed; %token goes on behind it.

    Args:
        tiles: Numbers of tokens, largest first.
        calls: What computes so many.
        end: Where to go when no token is left.
    """
    choose, run = [], []
    for tokens, smaller in zip(tiles, [*tiles[1:], None], strict=True):
        otherwise = end if smaller is None else f"try{smaller}"
        choose.append(
            f"try{tokens}:\n  %is{tokens} = icmp uge i64 %left, {tokens}\n"
            f"  br i1 %is{tokens}, label %do{tokens}, label %{otherwise}"
        )
        run.append(
            f"do{tokens}:\n  {calls[tokens]}\n  %after{tokens} = add i64 %t, {tokens}\n  br label %token"
        )
    return "\n".join([*choose, *run])


DECLARATIONS: Final = """
declare <16 x float> @llvm.fma.v16f32(<16 x float>, <16 x float>, <16 x float>)
declare <16 x float> @llvm.rint.v16f32(<16 x float>)
declare <16 x float> @llvm.fabs.v16f32(<16 x float>)
declare <16 x float> @llvm.maxnum.v16f32(<16 x float>, <16 x float>)
declare <16 x float> @llvm.minnum.v16f32(<16 x float>, <16 x float>)
declare float @llvm.vector.reduce.fmax.v16f32(<16 x float>)
declare float @llvm.vector.reduce.fadd.v16f32(float, <16 x float>)
declare i32 @llvm.vector.reduce.add.v16i32(<16 x i32>)
declare float @llvm.sqrt.f32(float)
declare i64 @llvm.umin.i64(i64, i64)
declare i64 @llvm.smin.i64(i64, i64)
declare i64 @llvm.smax.i64(i64, i64)
declare void @llvm.memset.p0.i64(ptr, i8, i64, i1)
declare void @llvm.prefetch.p0(ptr, i32, i32, i32)
declare void @run_on_threads(ptr, ptr, i32, i32)
"""

PARALLEL: Final = f"""
; A thread takes the next pieces until none are left.
define void @work(ptr %job) {{
entry:
{fields(("body",), 0)}
  %call = inttoptr i64 %body to ptr
  %next = getelementptr i64, ptr %job, i64 1
{fields(("total", "piece"), 2)}
  br label %take
take:
  %first = atomicrmw add ptr %next, i64 %piece monotonic
  %any = icmp ult i64 %first, %total
  br i1 %any, label %run, label %done
run:
  %beyond = add i64 %first, %piece
  %last = call i64 @llvm.umin.i64(i64 %beyond, i64 %total)
  call void %call(ptr %job, i64 %first, i64 %last)
  br label %take
done:
  ret void
}}
define void @parallel(ptr %job, i32 %threads) {{
entry:
  %alone = icmp ult i32 %threads, 2
  br i1 %alone, label %one, label %many
one:
  call void @work(ptr %job)
  ret void
many:
  call void @run_on_threads(ptr @work, ptr %job, i32 %threads, i32 0)
  ret void
}}
"""
