"""Attention of the new tokens of one sequence: `turn(job, first, last)`, then `attend(job, first, last)`.

    turn:    [n, (heads + 2 groups) size] float32 -> queries, float32, and new keys and values in their place, bfloat16
    attend:  queries x keys -> weights (softmax) x values -> [n, heads size] float32

Query heads that share a key-value head are the rows of one product, as in `TorchAttention`. Keys are read 32 at a time
and turned round, so that a vector holds numbers of 16 keys; what was weighed before is scaled down when a much larger
score comes (Milakov and Gimelshein 2018, arXiv 1805.02867; Dao et al. 2022, arXiv 2205.14135). Keys begin at position
0 for every row, and what a row may not see adds exact zeros, so that a row is the same in any batch.
"""

from __future__ import annotations

from typing import Final

from agentkit.models.machine_code.attend_bfloat import PAIR_FINISH, ROUND, pair_mix_text, pair_scores_text
from agentkit.models.machine_code.attend_rows import (
    BFLOAT,
    FINISH,
    KEYS,
    NOTHING,
    POWER,
    STATE,
    SUMS,
    mix_text,
    scores_text,
    transpose_text,
    weigh_text,
)
from agentkit.models.machine_code.layout import ATTEND_FIELDS, Instructions
from agentkit.models.machine_code.writing import fields, number, spread

PART: Final = 16
"""Rows of queries that a piece of work has; they share the turning round of the keys."""
LARGEST_HEAD: Final = 256
"""Numbers per head, for the room on the stack."""
_TILES: Final[dict[Instructions, tuple[int, ...]]] = {
    "avx512bf16": (8, 4),
    "avx512vnni": (8, 4),
    "avxvnni": (4,),
    "avx2": (4,),
}
"""Rows that are computed together; a last one that is missing is replaced by the one before it."""


def attend_text(instructions: Instructions) -> str:
    """Both kinds of work."""
    tiles = _TILES[instructions]
    if instructions == "avx512bf16":
        queries = _SHORT_QUERIES
        pieces = [weigh_text(ROUND), PAIR_FINISH]
        pieces += [text for count in tiles for text in (pair_scores_text(count), pair_mix_text(count))]
    else:
        queries = _QUERIES
        pieces = [weigh_text(), FINISH]
        pieces += [text for count in tiles for text in (scores_text(count), mix_text(count))]
    return "\n".join([BFLOAT, POWER, _TURN + queries + _TURNED, transpose_text(), *pieces, _attend(tiles)])


_HALVES: Final = "\n".join(
    f"  %{name}.p = getelementptr float, ptr {base}, i64 %{place}\n"
    f"  %{name} = load <16 x float>, ptr %{name}.p, align 4"
    for name, base, place in (
        ("low", "%x", "d"),
        ("high", "%x", "d.high"),
        ("cos", "%cos.row", "d"),
        ("sin", "%sin.row", "d"),
    )
)
_QUERIES: Final = """
  %q.low.p = getelementptr float, ptr %q, i64 %d
  %q.high.p = getelementptr float, ptr %q, i64 %d.high
  store <16 x float> %q.low, ptr %q.low.p, align 4
  store <16 x float> %q.high, ptr %q.high.p, align 4"""
_SHORT_QUERIES: Final = """
  %q.low.p = getelementptr i16, ptr %q, i64 %d
  %q.high.p = getelementptr i16, ptr %q, i64 %d.high
  %q.low.short = call <16 x i16> @to_bfloat(<16 x float> %q.low)
  %q.high.short = call <16 x i16> @to_bfloat(<16 x float> %q.high)
  store <16 x i16> %q.low.short, ptr %q.low.p, align 2
  store <16 x i16> %q.high.short, ptr %q.high.p, align 2"""


_TURN: Final = f"""
; Rotate queries and keys of the tokens %first to %last - 1, and put keys and values away.
define void @turn(ptr %job, i64 %first, i64 %last) {{
entry:
{fields(ATTEND_FIELDS, 4)}
  %inputs.q = inttoptr i64 %inputs to ptr
  %queries.q = inttoptr i64 %queries to ptr
  %cosine.q = inttoptr i64 %cosine to ptr
  %sine.q = inttoptr i64 %sine to ptr
  %keys.q = inttoptr i64 %keys to ptr
  %values.q = inttoptr i64 %values to ptr
  %half = lshr i64 %size, 1
  %shared = udiv i64 %heads, %groups
  %rows = mul i64 %tokens, %shared
  %turned.heads = add i64 %heads, %groups
  %all.heads = add i64 %turned.heads, %groups
  %width = mul i64 %all.heads, %size
  %scale.bits = trunc i64 %scale to i32
  %scale.f = bitcast i32 %scale.bits to float
{spread("by", "float", "%scale.f")}
  br label %token
token:
  %t = phi i64 [%first, %entry], [%t.next, %token.end]
  %x.row = mul i64 %t, %width
  %angle.at = mul i64 %t, %half
  %cos.row = getelementptr float, ptr %cosine.q, i64 %angle.at
  %sin.row = getelementptr float, ptr %sine.q, i64 %angle.at
  %place = add i64 %known, %t
  br label %head
head:
  %h = phi i64 [0, %token], [%h.next, %head.end]
  %h.at = mul i64 %h, %size
  %x.at = add i64 %x.row, %h.at
  %x = getelementptr float, ptr %inputs.q, i64 %x.at
  %is.query = icmp ult i64 %h, %heads
  %is.turned = icmp ult i64 %h, %turned.heads
  %group = udiv i64 %h, %shared
  %member = urem i64 %h, %shared
  %q.group = mul i64 %group, %rows
  %q.token = mul i64 %t, %shared
  %q.first = add i64 %q.group, %q.token
  %q.row = add i64 %q.first, %member
  %q.at = mul i64 %q.row, %size
  %q = getelementptr float, ptr %queries.q, i64 %q.at
  %k.group = sub i64 %h, %heads
  %v.group = sub i64 %h, %turned.heads
  %kv.group = select i1 %is.turned, i64 %k.group, i64 %v.group
  %kv = select i1 %is.turned, ptr %keys.q, ptr %values.q
  %kv.head = mul i64 %kv.group, %stride
  %kv.place = mul i64 %place, %size
  %kv.at = add i64 %kv.head, %kv.place
  %kept = getelementptr i16, ptr %kv, i64 %kv.at
  br label %number
number:
  %d = phi i64 [0, %head], [%d.next, %number.end]
  %d.high = add i64 %d, %half
{_HALVES}
  %low.cos = fmul <16 x float> %low, %cos
  %high.sin = fmul <16 x float> %high, %sin
  %low.turned = fsub <16 x float> %low.cos, %high.sin
  %high.cos = fmul <16 x float> %high, %cos
  %low.sin = fmul <16 x float> %low, %sin
  %high.turned = fadd <16 x float> %high.cos, %low.sin
  %low.new = select i1 %is.turned, <16 x float> %low.turned, <16 x float> %low
  %high.new = select i1 %is.turned, <16 x float> %high.turned, <16 x float> %high
  br i1 %is.query, label %query, label %state
query:
  %q.low = fmul <16 x float> %low.new, %by
  %q.high = fmul <16 x float> %high.new, %by
"""
_TURNED: Final = """
  br label %number.end
state:
  %s.low.p = getelementptr i16, ptr %kept, i64 %d
  %s.high.p = getelementptr i16, ptr %kept, i64 %d.high
  %s.low = call <16 x i16> @to_bfloat(<16 x float> %low.new)
  %s.high = call <16 x i16> @to_bfloat(<16 x float> %high.new)
  store <16 x i16> %s.low, ptr %s.low.p, align 2
  store <16 x i16> %s.high, ptr %s.high.p, align 2
  br label %number.end
number.end:
  %d.next = add i64 %d, 16
  %d.more = icmp ult i64 %d.next, %half
  br i1 %d.more, label %number, label %head.end
head.end:
  %h.next = add i64 %h, 1
  %h.more = icmp ult i64 %h.next, %all.heads
  br i1 %h.more, label %head, label %token.end
token.end:
  %t.next = add i64 %t, 1
  %t.more = icmp ult i64 %t.next, %last
  br i1 %t.more, label %token, label %done
done:
  ret void
}"""
_ENTRY: Final = f"""{fields(ATTEND_FIELDS, 4)}
  %queries.q = inttoptr i64 %queries to ptr
  %mixed.q = inttoptr i64 %mixed to ptr
  %keys.q = inttoptr i64 %keys to ptr
  %values.q = inttoptr i64 %values to ptr
  %results.q = inttoptr i64 %results to ptr
  %shared = udiv i64 %heads, %groups
  %rows = mul i64 %tokens, %shared
  %most = sub i64 %rows, 1
  %known.one = add i64 %known, 1
  %filled = add i64 %rows, {PART - 1}
  %parts = udiv i64 %filled, {PART}"""
_PART: Final = f"""  %p = phi i64 [%first, %entry], [%p.next, %part.end]
  %group = udiv i64 %p, %parts
  %member = urem i64 %p, %parts
  %row.first = mul i64 %member, {PART}
  %row.beyond = add i64 %row.first, {PART}
  %row.end = call i64 @llvm.umin.i64(i64 %row.beyond, i64 %rows)
  %row.last = sub i64 %row.end, 1
  %token.last = udiv i64 %row.last, %shared
  %end = add i64 %token.last, %known.one
  %group.row = mul i64 %group, %rows
  %group.at = mul i64 %group.row, %size
  %queries.group = getelementptr float, ptr %queries.q, i64 %group.at
  %mixed.group = getelementptr float, ptr %mixed.q, i64 %group.at
  %state.at = mul i64 %group, %stride
  %keys.group = getelementptr i16, ptr %keys.q, i64 %state.at
  %values.group = getelementptr i16, ptr %values.q, i64 %state.at
  %clear.at = mul i64 %row.first, %size
  %clear = getelementptr float, ptr %mixed.group, i64 %clear.at
  %clear.rows = sub i64 %row.end, %row.first
  %clear.count = mul i64 %clear.rows, %size
  %clear.bytes = shl i64 %clear.count, 2
  call void @llvm.memset.p0.i64(ptr %clear, i8 0, i64 %clear.bytes, i1 false)
  br label %reset
reset:
  %i = phi i64 [0, %part], [%i.next, %reset]
  %i.at = mul i64 %i, {STATE}
  %i.largest = getelementptr float, ptr %states, i64 %i.at
  %i.sums = getelementptr float, ptr %i.largest, i64 {SUMS}
  store float {number(NOTHING)}, ptr %i.largest, align 4
  store <16 x float> zeroinitializer, ptr %i.sums, align 4
  %i.next = add i64 %i, 1
  %i.more = icmp ult i64 %i.next, {PART}
  br i1 %i.more, label %reset, label %block"""
_BLOCK: Final = f"""block:
  %base = phi i64 [0, %reset], [%base.next, %block.end]
  %base.at = mul i64 %base, %size
  %keys.block = getelementptr i16, ptr %keys.group, i64 %base.at
  %values.block = getelementptr i16, ptr %values.group, i64 %base.at
  %second.at = mul i64 %size, 16
  %keys.second = getelementptr i16, ptr %keys.block, i64 %second.at
  %turned.second = getelementptr i32, ptr %turned, i64 16
  call void @transpose(ptr %keys.block, i64 %size, ptr %turned)
  call void @transpose(ptr %keys.second, i64 %size, ptr %turned.second)
  %rest = sub i64 %end, %base
  %count = call i64 @llvm.umin.i64(i64 %rest, i64 {KEYS})
  br label %tile"""
_WRITE: Final = f"""  %row.more = icmp ult i64 %row.next, %row.end
  br i1 %row.more, label %tile, label %block.end
block.end:
  %base.next = add i64 %base, {KEYS}
  %base.more = icmp ult i64 %base.next, %end
  br i1 %base.more, label %block, label %write
write:
  %j = phi i64 [%row.first, %block.end], [%j.next, %write]
  %j.slot = sub i64 %j, %row.first
  %j.slot.at = mul i64 %j.slot, {STATE}
  %j.state = getelementptr float, ptr %states, i64 %j.slot.at
  %j.at = mul i64 %j, %size
  %j.mixed = getelementptr float, ptr %mixed.group, i64 %j.at
  %j.token = udiv i64 %j, %shared
  %j.member = urem i64 %j, %shared
  %j.head.first = mul i64 %group, %shared
  %j.head = add i64 %j.head.first, %j.member
  %j.heads = mul i64 %j.token, %heads
  %j.place = add i64 %j.heads, %j.head
  %j.result.at = mul i64 %j.place, %size
  %j.result = getelementptr float, ptr %results.q, i64 %j.result.at
  call void @finish(ptr %j.mixed, ptr %j.state, ptr %j.result, i64 %size)
  %j.next = add i64 %j, 1
  %j.more = icmp ult i64 %j.next, %row.end
  br i1 %j.more, label %write, label %part.end
part.end:
  %p.next = add i64 %p, 1
  %p.more = icmp ult i64 %p.next, %last
  br i1 %p.more, label %part, label %done
done:
  ret void
}}"""


def _attend(tiles: tuple[int, ...]) -> str:
    """`attend(job, first, last)`: the parts first to last - 1 of all rows, `PART` rows of one key-value head each."""
    largest, smallest = tiles[0], tiles[-1]
    advance = ", ".join(f"[%row.after{rows}, %tile{rows}.done]" for rows in tiles)
    work = []
    for rows in tiles:
        weighing = "\n".join(
            f"  %w{rows}.{r}.any = add i64 %row, {r}\n"
            f"  %w{rows}.{r}.row = call i64 @llvm.umin.i64(i64 %w{rows}.{r}.any, i64 %most)\n"
            f"  %w{rows}.{r}.token = udiv i64 %w{rows}.{r}.row, %shared\n"
            f"  %w{rows}.{r}.until = add i64 %w{rows}.{r}.token, %known.one\n"
            f"  %w{rows}.{r}.seen = sub i64 %w{rows}.{r}.until, %base\n"
            f"  %w{rows}.{r}.s = getelementptr float, ptr %scores, i64 {KEYS * r}\n"
            f"  %w{rows}.{r}.state = getelementptr float, ptr %state, i64 {STATE * r}\n"
            f"  call void @weigh(ptr %w{rows}.{r}.s, ptr %w{rows}.{r}.state, i64 %w{rows}.{r}.seen)"
            for r in range(rows)
        )
        work.append(f"""
tile{rows}:
  call void @scores_{rows}(ptr %turned, ptr %queries.group, i64 %row, i64 %most, i64 %size, ptr %scores)
{weighing}
  call void @mix_{rows}(ptr %values.block, i64 %count, ptr %scores, ptr %state, ptr %mixed.group, i64 %row, i64 %most,
    i64 %size)
  br label %tile{rows}.done
tile{rows}.done:
  %row.after{rows} = add i64 %row, {rows}
  br label %tile.end""")
    choose = (
        f"  br label %tile{largest}"
        if largest == smallest
        else f"  %few = icmp ule i64 %left, {smallest}\n  br i1 %few, label %tile{smallest}, label %tile{largest}"
    )
    return f"""
define void @attend(ptr %job, i64 %first, i64 %last) {{
entry:
  %turned = alloca [{LARGEST_HEAD // 2 * KEYS} x i32], align 64
  %scores = alloca [{largest * KEYS} x float], align 64
  %states = alloca [{PART * STATE} x float], align 64
{_ENTRY}
  br label %part
part:
{_PART}
{_BLOCK}
tile:
  %row = phi i64 [%row.first, %block], [%row.next, %tile.end]
  %left = sub i64 %row.end, %row
  %slot = sub i64 %row, %row.first
  %slot.at = mul i64 %slot, {STATE}
  %state = getelementptr float, ptr %states, i64 %slot.at
{choose}
{chr(10).join(work)}
tile.end:
  %row.next = phi i64 {advance}
{_WRITE}"""
