"""Products of float32: `multiply_floats(job, first, last)`, for the pieces first to last - 1.

    [n, width], weights [outputs / 16, width, 16] -> [n, outputs], with bias, or added to another; all float32

A piece is 16 outputs of a panel of up to `PANEL` tokens: the weights of a piece stay in the nearest cache while the
panel's tokens pass, and the panel stays in the next one while all outputs are computed. Every sum is made in the order
of the inputs, in any batch.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

from agentkit.models.machine_code.layout import FLOAT_FIELDS, PANEL, ROWS, STEPS, Instructions
from agentkit.models.machine_code.writing import fields, largest_tile, spread

_MOST: Final[dict[Instructions, int]] = {"avx512bf16": 12, "avx512vnni": 12, "avxvnni": 5, "avx2": 5}
"""Tokens that are computed together: their sums fill the registers, and hide how long an addition takes."""
_AHEAD: Final = 64
"""Inputs: their weights are asked for so much earlier."""


def multiply_floats_text(instructions: Instructions) -> str:
    """For every number of tokens."""
    tiles = range(_MOST[instructions], 0, -1)
    return "\n".join([*(_tile(tokens) for tokens in tiles), _multiply(tiles)])


def _tile(tokens: int) -> str:
    """`floats_TOKENS`: 16 outputs of so many tokens."""
    every = range(tokens)
    sums = "\n".join(f"  %s{t} = phi <16 x float> [%b, %entry], [%s{t}.{STEPS - 1}, %inputs]" for t in every)
    rows = "\n".join(
        f"  %x{t}.at = mul i64 %width, {t}\n  %x{t} = getelementptr float, ptr %x, i64 %x{t}.at"
        for t in every
    )
    return f"""
define internal void @floats_{tokens}(ptr %w, ptr %x, i64 %width, ptr %bias, ptr %z, i64 %outputs, ptr %onto,
    i1 %add) alwaysinline {{
entry:
  %b = load <16 x float>, ptr %bias, align 4
{rows}
  br label %inputs
inputs:
  %k = phi i64 [0, %entry], [%k.next, %inputs]
{sums}
{_steps(tokens)}
  %k.next = add i64 %k, {STEPS}
  %k.more = icmp ult i64 %k.next, %width
  br i1 %k.more, label %inputs, label %end
end:
  br i1 %add, label %added, label %plain
added:
{_results(tokens, add=True)}
  ret void
plain:
{_results(tokens, add=False)}
  ret void
}}"""


def _steps(tokens: int) -> str:
    """Some inputs, times their weights, to the sums of every token."""
    lines = [f"  %w.at = mul i64 %k, {ROWS}", "  %w.k = getelementptr float, ptr %w, i64 %w.at"]
    for step in range(STEPS):
        lines.append(
            f"  %ahead{step} = getelementptr float, ptr %w.k, i64 {ROWS * (step + _AHEAD)}\n"
            f"  call void @llvm.prefetch.p0(ptr %ahead{step}, i32 0, i32 3, i32 1)\n"
            f"  %w{step}.p = getelementptr float, ptr %w.k, i64 {ROWS * step}\n"
            f"  %w{step} = load <16 x float>, ptr %w{step}.p, align 4"
        )
    for step in range(STEPS):
        for t in range(tokens):
            before = f"%s{t}.{step - 1}" if step else f"%s{t}"
            lines.append(
                (f"  %x{t}.k = getelementptr float, ptr %x{t}, i64 %k\n" if not step else "")
                + f"  %x{t}.{step}.p = getelementptr float, ptr %x{t}.k, i64 {step}\n"
                f"  %v{t}.{step} = load float, ptr %x{t}.{step}.p, align 4\n"
                + spread(f"y{t}.{step}", "float", f"%v{t}.{step}")
                + f"\n  %s{t}.{step} = call <16 x float> @llvm.fma.v16f32(<16 x float> %w{step}, "
                f"<16 x float> %y{t}.{step}, <16 x float> {before})"
            )
    return "\n".join(lines)


def _results(tokens: int, *, add: bool) -> str:
    """Write the 16 outputs of every token."""
    lines, kind = [], "a" if add else "p"
    for t in range(tokens):
        found = f"%s{t}.{STEPS - 1}"
        lines.append(f"  %{kind}{t}.at = mul i64 %outputs, {t}")
        if add:
            lines.append(
                f"  %o{t}.p = getelementptr float, ptr %onto, i64 %{kind}{t}.at\n"
                f"  %o{t} = load <16 x float>, ptr %o{t}.p, align 4\n"
                f"  %o{t}.sum = fadd <16 x float> %o{t}, {found}"
            )
            found = f"%o{t}.sum"
        lines.append(
            f"  %{kind}{t}.p = getelementptr float, ptr %z, i64 %{kind}{t}.at\n"
            f"  store <16 x float> {found}, ptr %{kind}{t}.p, align 4"
        )
    return "\n".join(lines)


def _multiply(tiles: Sequence[int]) -> str:
    """`multiply_floats(job, first, last)`."""
    pointers = ("inputs", "weights", "bias", "results", "onto")
    phis = ", ".join(["[%t.first, %piece]", *(f"[%after{t}, %do{t}]" for t in tiles)])
    arguments = "ptr %w, ptr %x, i64 %width, ptr %bs, ptr %z, i64 %outputs, ptr %o, i1 %add"
    calls = {tokens: f"call void @floats_{tokens}({arguments})" for tokens in tiles}
    return f"""
define void @multiply_floats(ptr %job, i64 %first, i64 %last) {{
entry:
{fields(FLOAT_FIELDS, 4)}
{chr(10).join(f"  %{name}.q = inttoptr i64 %{name} to ptr" for name in pointers)}
  %blocks = lshr i64 %outputs, 4
  %block.numbers = mul i64 %width, {ROWS}
  %add = icmp ne i64 %onto, 0
  br label %piece
piece:
  %p = phi i64 [%first, %entry], [%p.next, %piece.end]
  %panel = udiv i64 %p, %blocks
  %b = urem i64 %p, %blocks
  %w.at = mul i64 %b, %block.numbers
  %w = getelementptr float, ptr %weights.q, i64 %w.at
  %column = mul i64 %b, {ROWS}
  %bs = getelementptr float, ptr %bias.q, i64 %column
  %t.first = mul i64 %panel, {PANEL}
  %t.beyond = add i64 %t.first, {PANEL}
  %t.last = call i64 @llvm.umin.i64(i64 %t.beyond, i64 %rows)
  br label %token
token:
  %t = phi i64 {phis}
  %left = sub i64 %t.last, %t
  %x.at = mul i64 %t, %width
  %x = getelementptr float, ptr %inputs.q, i64 %x.at
  %z.row = mul i64 %t, %outputs
  %z.at = add i64 %z.row, %column
  %z = getelementptr float, ptr %results.q, i64 %z.at
  %o = getelementptr float, ptr %onto.q, i64 %z.at
  br label %try{tiles[0]}
{largest_tile(tiles, calls, "piece.end")}
piece.end:
  %p.next = add i64 %p, 1
  %p.more = icmp ult i64 %p.next, %last
  br i1 %p.more, label %piece, label %done
done:
  ret void
}}"""
