"""Pieces of attention: what is done with a few rows of queries and `KEYS` keys. `attend.py` puts them together."""

from __future__ import annotations

import math
from typing import Final

from agentkit.models.machine_code.writing import indices, number, splat, spread

KEYS: Final = 32
"""Keys that are looked at together; their numbers stay in the nearest cache."""
STATE: Final = 32
"""Floats kept for a row: the score that its weights are measured by; by what it is scaled down now; 16 sums of its
weights."""
FACTOR: Final = 1
SUMS: Final = 16
"""Where the last two of them stand."""
_SLACK: Final = 8.0
"""Weights of up to 2^8: far from what a float or its precision bears."""
NOTHING: Final = -1e30
"""A score so low that it has no weight."""

BFLOAT: Final = """
define internal <16 x i16> @to_bfloat(<16 x float> %x) alwaysinline {
  %bits = bitcast <16 x float> %x to <16 x i32>
  %high = lshr <16 x i32> %bits, splat (i32 16)
  %odd = and <16 x i32> %high, splat (i32 1)
  %half = add <16 x i32> %odd, splat (i32 32767)
  %rounded = add <16 x i32> %bits, %half
  %kept = lshr <16 x i32> %rounded, splat (i32 16)
  %r = trunc <16 x i32> %kept to <16 x i16>
  ret <16 x i16> %r
}
define internal <16 x float> @from_bfloat(ptr %at) alwaysinline {
  %short = load <16 x i16>, ptr %at, align 2
  %wide = zext <16 x i16> %short to <16 x i32>
  %bits = shl <16 x i32> %wide, splat (i32 16)
  %r = bitcast <16 x i32> %bits to <16 x float>
  ret <16 x float> %r
}"""


def _polynomial() -> str:
    """%p6: 2^r for r from -.5 to .5."""
    terms = [math.log(2) ** power / math.factorial(power) for power in range(6, -1, -1)]
    lines, previous = [], splat(terms[0])
    for index, term in enumerate(terms[1:], 1):
        lines.append(
            f"  %p{index} = call <16 x float> @llvm.fma.v16f32(<16 x float> {previous}, <16 x float> %r, "
            f"<16 x float> {splat(term)})"
        )
        previous = f"%p{index}"
    return "\n".join(lines)


def transpose_text() -> str:
    """`transpose`: 16 keys -> pairs of numbers, for each pair the 16 keys side by side, `KEYS` keys apart."""
    lines = []
    for key in range(16):
        lines.append(
            f"  %k{key}.at = mul i64 %size, {key}\n  %k{key}.n = add i64 %k{key}.at, %d\n"
            f"  %k{key}.p = getelementptr i16, ptr %keys, i64 %k{key}.n\n"
            f"  %a0.{key} = load <16 x i32>, ptr %k{key}.p, align 2"
        )
    low = indices([lane // 2 + 16 * (lane % 2) for lane in range(16)])
    high = indices([8 + lane // 2 + 16 * (lane % 2) for lane in range(16)])
    # Four times laying each row and the eighth after it together, as one shuffles cards, exchanges rows and columns.
    for turn in range(4):
        for row in range(8):
            pair = f"<16 x i32> %a{turn}.{row}, <16 x i32> %a{turn}.{row + 8}"
            lines.append(f"  %a{turn + 1}.{2 * row} = shufflevector {pair}, <16 x i32> {low}")
            lines.append(f"  %a{turn + 1}.{2 * row + 1} = shufflevector {pair}, <16 x i32> {high}")
    for pair_ in range(16):
        lines.append(
            f"  %o{pair_}.p = getelementptr i32, ptr %out.d, i64 {KEYS * pair_}\n"
            f"  store <16 x i32> %a4.{pair_}, ptr %o{pair_}.p, align 4"
        )
    return f"""
define internal void @transpose(ptr %keys, i64 %size, ptr %out) {{
entry:
  br label %part
part:
  %d = phi i64 [0, %entry], [%d.next, %part]
  %out.at = mul i64 %d, {KEYS // 2}
  %out.d = getelementptr i32, ptr %out, i64 %out.at
{chr(10).join(lines)}
  %d.next = add i64 %d, 32
  %d.more = icmp ult i64 %d.next, %size
  br i1 %d.more, label %part, label %done
done:
  ret void
}}"""


POWER: Final = f"""
; 2^x for 16 numbers of at most some hundreds: 2^n 2^r with Taylor's polynomial for 2^r; right to 3e-7 of the value.
define internal <16 x float> @power(<16 x float> %given) alwaysinline {{
  %x = call <16 x float> @llvm.maxnum.v16f32(<16 x float> %given, <16 x float> {splat(-126.0)})
  %n = call <16 x float> @llvm.rint.v16f32(<16 x float> %x)
  %r = fsub <16 x float> %x, %n
{_polynomial()}
  %whole = fptosi <16 x float> %n to <16 x i32>
  %exponent = shl <16 x i32> %whole, splat (i32 23)
  %bits = bitcast <16 x float> %p6 to <16 x i32>
  %scaled = add <16 x i32> %bits, %exponent
  %result = bitcast <16 x i32> %scaled to <16 x float>
  ret <16 x float> %result
}}"""

_KEEP: Final = """
  store <16 x float> %w0, ptr %scores, align 4
  store <16 x float> %w1, ptr %p1, align 4
  %pairs = fadd <16 x float> %w0, %w1
  %sums.new = fadd <16 x float> %sums, %pairs"""


_GROW: Final = f"""grow:
  %both = call <16 x float> @llvm.maxnum.v16f32(<16 x float> %s0, <16 x float> %s1)
  %largest = call float @llvm.vector.reduce.fmax.v16f32(<16 x float> %both)
  store float %largest, ptr %state, align 4
  %down = fsub float %before, %largest
{spread("downs", "float", "%down")}
  %factors = call <16 x float> @power(<16 x float> %downs)
  %factor.grown = extractelement <16 x float> %factors, i32 0
  %sums.down = fmul <16 x float> %sums.old, %factors
  br label %weights"""
"""A score is more than `_SLACK` above what all are measured by: that becomes the largest of this block."""


def weigh_text(keep: str = _KEEP) -> str:
    """`weigh`: scores of one row become weights; of its `KEYS` keys it sees the first %seen.

    What all weights are measured by is a score that is at most `_SLACK` below the largest so far, so that it seldom
    changes. The sums are 16, one for each lane.

    Args:
        keep: Puts the weights %w0 and %w1 away and adds them to %sums, which makes %sums.new.
    """
    return f"""
define internal void @weigh(ptr %scores, ptr %state, i64 %seen) noinline {{
entry:
  %above = call i64 @llvm.smax.i64(i64 %seen, i64 0)
  %within = call i64 @llvm.smin.i64(i64 %above, i64 {KEYS})
  %limit = trunc i64 %within to i32
{spread("limits", "i32", "%limit")}
  %see0 = icmp slt <16 x i32> {indices(range(16))}, %limits
  %see1 = icmp slt <16 x i32> {indices(range(16, 32))}, %limits
  %p1 = getelementptr float, ptr %scores, i64 16
  %all0 = load <16 x float>, ptr %scores, align 4
  %all1 = load <16 x float>, ptr %p1, align 4
  %s0 = select <16 x i1> %see0, <16 x float> %all0, <16 x float> {splat(NOTHING)}
  %s1 = select <16 x i1> %see1, <16 x float> %all1, <16 x float> {splat(NOTHING)}
  %before = load float, ptr %state, align 4
  %most = fadd float %before, {number(_SLACK)}
{spread("mosts", "float", "%most")}
  %over0 = fcmp ogt <16 x float> %s0, %mosts
  %over1 = fcmp ogt <16 x float> %s1, %mosts
  %over = or <16 x i1> %over0, %over1
  %over.bits = bitcast <16 x i1> %over to i16
  %grown = icmp ne i16 %over.bits, 0
  %sums.p = getelementptr float, ptr %state, i64 {SUMS}
  %sums.old = load <16 x float>, ptr %sums.p, align 4
  br i1 %grown, label %grow, label %weights
{_GROW}
weights:
  %now = phi float [%before, %entry], [%largest, %grow]
  %factor = phi float [1.0, %entry], [%factor.grown, %grow]
  %sums = phi <16 x float> [%sums.old, %entry], [%sums.down, %grow]
{spread("nows", "float", "%now")}
  %d0 = fsub <16 x float> %s0, %nows
  %d1 = fsub <16 x float> %s1, %nows
  %e0 = call <16 x float> @power(<16 x float> %d0)
  %e1 = call <16 x float> @power(<16 x float> %d1)
  %w0 = select <16 x i1> %see0, <16 x float> %e0, <16 x float> zeroinitializer
  %w1 = select <16 x i1> %see1, <16 x float> %e1, <16 x float> zeroinitializer
{keep.strip(chr(10))}
  store <16 x float> %sums.new, ptr %sums.p, align 4
  %factor.p = getelementptr float, ptr %state, i64 {FACTOR}
  store float %factor, ptr %factor.p, align 4
  ret void
}}"""


def row_pointers(rows: int, base: str) -> str:
    """%r0, …: where the rows %row, %row + 1, … begin in a matrix of %size columns; at most the row %most."""
    return "\n".join(
        f"  %n{r}.any = add i64 %row, {r}\n  %n{r} = call i64 @llvm.umin.i64(i64 %n{r}.any, i64 %most)\n"
        f"  %n{r}.at = mul i64 %n{r}, %size\n  %r{r} = getelementptr float, ptr {base}, i64 %n{r}.at"
        for r in range(rows)
    )


def scores_text(rows: int) -> str:
    """`scores_ROWS`: products of so many queries with `KEYS` keys."""
    every = range(rows)
    sums = "\n".join(
        f"  %s{r}.{v} = phi <16 x float> [zeroinitializer, %entry], [%s{r}.{v}.next, %pair]"
        for r in every
        for v in (0, 1)
    )
    loads = "\n".join(
        f"  %w{v}.p = getelementptr i32, ptr %turned, i64 %w{v}.at\n  %w{v} = load <16 x i32>, ptr %w{v}.p, align 4\n"
        f"  %w{v}.up = shl <16 x i32> %w{v}, splat (i32 16)\n"
        f"  %w{v}.down = and <16 x i32> %w{v}, splat (i32 -65536)\n"
        f"  %even{v} = bitcast <16 x i32> %w{v}.up to <16 x float>\n"
        f"  %odd{v} = bitcast <16 x i32> %w{v}.down to <16 x float>"
        for v in (0, 1)
    )
    products = []
    for r in every:
        products.append(
            f"  %q{r}.p = getelementptr float, ptr %r{r}, i64 %d\n  %q{r}.even.v = load float, ptr %q{r}.p, align 4\n"
            f"  %q{r}.odd.p = getelementptr float, ptr %q{r}.p, i64 1\n"
            f"  %q{r}.odd.v = load float, ptr %q{r}.odd.p, align 4\n"
            + spread(f"q{r}.even", "float", f"%q{r}.even.v")
            + "\n"
            + spread(f"q{r}.odd", "float", f"%q{r}.odd.v")
        )
        for v in (0, 1):
            products.append(
                f"  %s{r}.{v}.mid = call <16 x float> @llvm.fma.v16f32(<16 x float> %even{v}, <16 x float> %q{r}.even, "
                f"<16 x float> %s{r}.{v})\n"
                f"  %s{r}.{v}.next = call <16 x float> @llvm.fma.v16f32(<16 x float> %odd{v}, <16 x float> %q{r}.odd, "
                f"<16 x float> %s{r}.{v}.mid)"
            )
    stores = "\n".join(
        f"  %z{r}.{v} = getelementptr float, ptr %scores, i64 {KEYS * r + 16 * v}\n"
        f"  store <16 x float> %s{r}.{v}.next, ptr %z{r}.{v}, align 4"
        for r in every
        for v in (0, 1)
    )
    return f"""
define internal void @scores_{rows}(ptr %turned, ptr %queries, i64 %row, i64 %most, i64 %size, ptr %scores) noinline {{
entry:
{row_pointers(rows, "%queries")}
  br label %pair
pair:
  %d = phi i64 [0, %entry], [%d.next, %pair]
{sums}
  %w0.at = mul i64 %d, {KEYS // 2}
  %w1.at = add i64 %w0.at, 16
{loads}
{chr(10).join(products)}
  %d.next = add i64 %d, 2
  %d.more = icmp ult i64 %d.next, %size
  br i1 %d.more, label %pair, label %done
done:
{stores}
  ret void
}}"""


def scaled_down_text(rows: int) -> str:
    """%m0.0.first, %m0.1.first, %m1.0.first, …: 32 columns of what so many rows hold, scaled down."""
    return "\n".join(
        f"  %m{r}.{v}.at = add i64 %c, {16 * v}\n  %m{r}.{v}.p = getelementptr float, ptr %r{r}, i64 %m{r}.{v}.at\n"
        f"  %m{r}.{v}.old = load <16 x float>, ptr %m{r}.{v}.p, align 4\n"
        f"  %f{r}.{v}.p = getelementptr float, ptr %state, i64 {STATE * r + FACTOR}\n"
        f"  %f{r}.{v}.v = load float, ptr %f{r}.{v}.p, align 4\n"
        + spread(f"f{r}.{v}", "float", f"%f{r}.{v}.v")
        + f"\n  %m{r}.{v}.first = fmul <16 x float> %m{r}.{v}.old, %f{r}.{v}"
        for r in range(rows)
        for v in (0, 1)
    )


def mix_text(rows: int) -> str:
    """`mix_ROWS`: what so many rows hold is scaled down, and %count values are added by their weights."""
    every = [(r, v) for r in range(rows) for v in (0, 1)]
    sums = "\n".join(
        f"  %m{r}.{v} = phi <16 x float> [%m{r}.{v}.first, %column], [%m{r}.{v}.next, %key]" for r, v in every
    )
    weights = "\n".join(
        f"  %p{r}.at = add i64 %k, {KEYS * r}\n  %p{r}.p = getelementptr float, ptr %scores, i64 %p{r}.at\n"
        f"  %p{r}.v = load float, ptr %p{r}.p, align 4\n" + spread(f"p{r}", "float", f"%p{r}.v")
        for r in range(rows)
    )
    adds = "\n".join(
        f"  %m{r}.{v}.next = call <16 x float> @llvm.fma.v16f32(<16 x float> %p{r}, <16 x float> %v{v}, "
        f"<16 x float> %m{r}.{v})"
        for r, v in every
    )
    stores = "\n".join(f"  store <16 x float> %m{r}.{v}.next, ptr %m{r}.{v}.p, align 4" for r, v in every)
    return f"""
define internal void @mix_{rows}(ptr %values, i64 %count, ptr %scores, ptr %state, ptr %mixed, i64 %row, i64 %most,
    i64 %size) noinline {{
entry:
{row_pointers(rows, "%mixed")}
  br label %column
column:
  %c = phi i64 [0, %entry], [%c.next, %column.end]
{scaled_down_text(rows)}
  br label %key
key:
  %k = phi i64 [0, %column], [%k.next, %key]
{sums}
  %v.row = mul i64 %k, %size
  %v0.at = add i64 %v.row, %c
  %v0.p = getelementptr i16, ptr %values, i64 %v0.at
  %v1.p = getelementptr i16, ptr %v0.p, i64 16
  %v0 = call <16 x float> @from_bfloat(ptr %v0.p)
  %v1 = call <16 x float> @from_bfloat(ptr %v1.p)
{weights}
{adds}
  %k.next = add i64 %k, 1
  %k.more = icmp ult i64 %k.next, %count
  br i1 %k.more, label %key, label %column.end
column.end:
{stores}
  %c.next = add i64 %c, 32
  %c.more = icmp ult i64 %c.next, %size
  br i1 %c.more, label %column, label %done
done:
  ret void
}}"""


TOTAL: Final = f"""
  %sums.p = getelementptr float, ptr %state, i64 {SUMS}
  %sums = load <16 x float>, ptr %sums.p, align 4
  %sum = call reassoc float @llvm.vector.reduce.fadd.v16f32(float 0.0, <16 x float> %sums)""".strip("\n")
"""The sum of all weights of a row."""
FINISH: Final = f"""
; A row divided by the sum of its weights, into its place among the results.
define internal void @finish(ptr %mixed, ptr %state, ptr %result, i64 %size) {{
entry:
{TOTAL}
  %inverse = fdiv float 1.0, %sum
{spread("by", "float", "%inverse")}
  br label %column
column:
  %c = phi i64 [0, %entry], [%c.next, %column]
  %from = getelementptr float, ptr %mixed, i64 %c
  %to = getelementptr float, ptr %result, i64 %c
  %x = load <16 x float>, ptr %from, align 4
  %y = fmul <16 x float> %x, %by
  store <16 x float> %y, ptr %to, align 4
  %c.next = add i64 %c, 16
  %c.more = icmp ult i64 %c.next, %size
  br i1 %c.more, label %column, label %done
done:
  ret void
}}"""
