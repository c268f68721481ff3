"""Pieces of attention for processors that multiply bfloat16: two products and a sum at once (`vdpbf16ps`).

They take the place of those of the same names in `attend_rows.py`. Queries and weights are rounded to bfloat16, as
torch's attention does; sums stay in float32. Queries lie in the first half of their float32 rows.

Numbers are multiplied in pairs: of keys the pairs are neighbouring numbers, of values the same number of two keys.
"""

from __future__ import annotations

from typing import Final

from agentkit.models.machine_code.attend_rows import KEYS, TOTAL, row_pointers, scaled_down_text
from agentkit.models.machine_code.writing import indices, spread

_DOT: Final = """
declare <32 x bfloat> @llvm.x86.avx512bf16.cvtne2ps2bf16.512(<16 x float>, <16 x float>)
declare <16 x float> @llvm.x86.avx512bf16.dpbf16ps.512(<16 x float>, <32 x bfloat>, <32 x bfloat>)
define internal <16 x float> @dot_pairs(<16 x float> %sum, <16 x i32> %one, <16 x i32> %other) alwaysinline {
  %a = bitcast <16 x i32> %one to <32 x bfloat>
  %b = bitcast <16 x i32> %other to <32 x bfloat>
  %r = call <16 x float> @llvm.x86.avx512bf16.dpbf16ps.512(<16 x float> %sum, <32 x bfloat> %a, <32 x bfloat> %b)
  ret <16 x float> %r
}"""


def pair_scores_text(rows: int) -> str:
    """`scores_ROWS`: products of so many queries with `KEYS` keys."""
    every = [(r, v) for r in range(rows) for v in (0, 1)]
    sums = "\n".join(
        f"  %s{r}.{v} = phi <16 x float> [zeroinitializer, %entry], [%s{r}.{v}.next, %pair]" for r, v in every
    )
    keys = "\n".join(
        f"  %w{v}.p = getelementptr i32, ptr %turned, i64 %w{v}.at\n  %w{v} = load <16 x i32>, ptr %w{v}.p, align 4"
        for v in (0, 1)
    )
    queries = "\n".join(
        f"  %q{r}.p = getelementptr i32, ptr %r{r}, i64 %d\n  %q{r}.v = load i32, ptr %q{r}.p, align 4\n"
        + spread(f"q{r}", "i32", f"%q{r}.v")
        for r in range(rows)
    )
    products = "\n".join(
        f"  %s{r}.{v}.next = call <16 x float> @dot_pairs(<16 x float> %s{r}.{v}, <16 x i32> %w{v}, <16 x i32> %q{r})"
        for r, v in every
    )
    stores = "\n".join(
        f"  %z{r}.{v} = getelementptr float, ptr %scores, i64 {KEYS * r + 16 * v}\n"
        f"  store <16 x float> %s{r}.{v}.next, ptr %z{r}.{v}, align 4"
        for r, v in every
    )
    return f"""
define internal void @scores_{rows}(ptr %turned, ptr %queries, i64 %row, i64 %most, i64 %size, ptr %scores) noinline {{
entry:
{row_pointers(rows, "%queries")}
  %pairs = lshr i64 %size, 1
  br label %pair
pair:
  %d = phi i64 [0, %entry], [%d.next, %pair]
{sums}
  %w0.at = mul i64 %d, {KEYS}
  %w1.at = add i64 %w0.at, 16
{keys}
{queries}
{products}
  %d.next = add i64 %d, 1
  %d.more = icmp ult i64 %d.next, %pairs
  br i1 %d.more, label %pair, label %done
done:
{stores}
  ret void
}}"""


ROUND: Final = """
  %short = call <32 x bfloat> @llvm.x86.avx512bf16.cvtne2ps2bf16.512(<16 x float> %w1, <16 x float> %w0)
  store <32 x bfloat> %short, ptr %scores, align 4
  %pairs = bitcast <32 x bfloat> %short to <16 x i32>
  %sums.new = call <16 x float> @dot_pairs(<16 x float> %sums, <16 x i32> %pairs, <16 x i32> splat (i32 1065369472))"""
"""What `weigh` does with its weights: they are kept rounded, and what is summed is the rounded ones (times 1)."""


_VALUES: Final = """
  %k.odd.any = add i64 %k, 1
  ; Behind the last value there may be no numbers at all; its own stands in for it, with a weight of 0.
  %k.odd = call i64 @llvm.umin.i64(i64 %k.odd.any, i64 %end)
  %a.row = mul i64 %k, %size
  %a.at = add i64 %a.row, %c
  %a.p = getelementptr i16, ptr %values, i64 %a.at
  %a = load <16 x i32>, ptr %a.p, align 2
  %b.row = mul i64 %k.odd, %size
  %b.at = add i64 %b.row, %c
  %b.p = getelementptr i16, ptr %values, i64 %b.at
  %b = load <16 x i32>, ptr %b.p, align 2
  %a.low = and <16 x i32> %a, splat (i32 65535)
  %b.up = shl <16 x i32> %b, splat (i32 16)
  %v0 = or <16 x i32> %a.low, %b.up
  %a.down = lshr <16 x i32> %a, splat (i32 16)
  %b.high = and <16 x i32> %b, splat (i32 -65536)
  %v1 = or <16 x i32> %a.down, %b.high""".strip("\n")
"""%v0 and %v1: numbers of the values %k and %k + 1 as pairs, those of even columns and those of odd ones."""


def pair_mix_text(rows: int) -> str:
    """`mix_ROWS`: what so many rows hold is scaled down, and %count values are added by their weights.

    Of 32 columns a row holds first the even ones, then the odd ones; `finish` puts them in order.
    """
    every = [(r, v) for r in range(rows) for v in (0, 1)]
    sums = "\n".join(
        f"  %m{r}.{v} = phi <16 x float> [%m{r}.{v}.first, %column], [%m{r}.{v}.next, %pair]"
        for r, v in every
    )
    weights = "\n".join(
        f"  %p{r}.at = add i64 %k, {2 * KEYS * r}\n  %p{r}.p = getelementptr i16, ptr %scores, i64 %p{r}.at\n"
        f"  %p{r}.v = load i32, ptr %p{r}.p, align 4\n" + spread(f"p{r}", "i32", f"%p{r}.v")
        for r in range(rows)
    )
    adds = "\n".join(
        f"  %m{r}.{v}.next = call <16 x float> @dot_pairs(<16 x float> %m{r}.{v}, <16 x i32> %v{v}, <16 x i32> %p{r})"
        for r, v in every
    )
    stores = "\n".join(f"  store <16 x float> %m{r}.{v}.next, ptr %m{r}.{v}.p, align 4" for r, v in every)
    return f"""
define internal void @mix_{rows}(ptr %values, i64 %count, ptr %scores, ptr %state, ptr %mixed, i64 %row, i64 %most,
    i64 %size) noinline {{
entry:
{row_pointers(rows, "%mixed")}
  %end = sub i64 %count, 1
  br label %column
column:
  %c = phi i64 [0, %entry], [%c.next, %column.end]
{scaled_down_text(rows)}
  br label %pair
pair:
  %k = phi i64 [0, %column], [%k.next, %pair]
{sums}
{_VALUES}
{weights}
{adds}
  %k.next = add i64 %k, 2
  %k.more = icmp ult i64 %k.next, %count
  br i1 %k.more, label %pair, label %column.end
column.end:
{stores}
  %c.next = add i64 %c, 32
  %c.more = icmp ult i64 %c.next, %size
  br i1 %c.more, label %column, label %done
done:
  ret void
}}"""


def _in_order() -> str:
    pair = "<16 x float> %y.even, <16 x float> %y.odd"
    return "\n".join(
        f"  %z{half} = shufflevector {pair}, <16 x i32> "
        f"{indices([8 * half + lane // 2 + 16 * (lane % 2) for lane in range(16)])}"
        for half in (0, 1)
    )


_FINISH: Final = f"""
; A row divided by the sum of its weights, its columns in order, into its place among the results.
define internal void @finish(ptr %mixed, ptr %state, ptr %result, i64 %size) {{
entry:
{TOTAL}
  %inverse = fdiv float 1.0, %sum
{spread("by", "float", "%inverse")}
  br label %column
column:
  %c = phi i64 [0, %entry], [%c.next, %column]
  %even.p = getelementptr float, ptr %mixed, i64 %c
  %odd.p = getelementptr float, ptr %even.p, i64 16
  %even = load <16 x float>, ptr %even.p, align 4
  %odd = load <16 x float>, ptr %odd.p, align 4
  %y.even = fmul <16 x float> %even, %by
  %y.odd = fmul <16 x float> %odd, %by
{_in_order()}
  %to = getelementptr float, ptr %result, i64 %c
  %to.second = getelementptr float, ptr %to, i64 16
  store <16 x float> %z0, ptr %to, align 4
  store <16 x float> %z1, ptr %to.second, align 4
  %c.next = add i64 %c, 32
  %c.more = icmp ult i64 %c.next, %size
  br i1 %c.more, label %column, label %done
done:
  ret void
}}"""
PAIR_FINISH: Final = _DOT + _FINISH
