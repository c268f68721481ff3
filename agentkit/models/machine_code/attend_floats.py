"""Attention within short texts in float32: `attend_floats(job, first, last)`, for heads first to last - 1 of all texts.

    queries, keys and values [texts, tokens, 3 heads size] -> weights (softmax) x values -> [texts, tokens, heads size]

Every token looks at all of its text, as in BERT's encoder. For some tens of tokens, torch takes longer to share the
work out than the work itself takes.
"""

from __future__ import annotations

from typing import Final

from agentkit.models.machine_code.attend_rows import NOTHING
from agentkit.models.machine_code.layout import FLOAT_ATTEND_FIELDS, MOST_KEYS
from agentkit.models.machine_code.writing import fields, number, splat, spread


def attend_floats_text() -> str:
    """The work; `@exponential` must be there."""
    return f"""
declare float @llvm.maxnum.f32(float, float)
define void @attend_floats(ptr %job, i64 %first, i64 %last) {{
entry:
{fields(FLOAT_ATTEND_FIELDS, 4)}
  %scores = alloca [{MOST_KEYS} x float], align 64
  %inputs.q = inttoptr i64 %inputs to ptr
  %results.q = inttoptr i64 %results to ptr
  %scale.bits = trunc i64 %scale to i32
  %by = bitcast i32 %scale.bits to float
  %wide = mul i64 %heads, %size
  %row = mul i64 %wide, 3
  %twice = mul i64 %wide, 2
  %up = add i64 %tokens, 15
  %room = and i64 %up, -16
  br label %head
head:
  %h = phi i64 [%first, %entry], [%h.next, %head.end]
  %text = udiv i64 %h, %heads
  %member = urem i64 %h, %heads
  %text.token = mul i64 %text, %tokens
  %text.at = mul i64 %text.token, %row
  %member.at = mul i64 %member, %size
  %q.at = add i64 %text.at, %member.at
  %q.head = getelementptr float, ptr %inputs.q, i64 %q.at
  %k.head = getelementptr float, ptr %q.head, i64 %wide
  %v.head = getelementptr float, ptr %q.head, i64 %twice
  %z.text = mul i64 %text.token, %wide
  %z.at = add i64 %z.text, %member.at
  %z.head = getelementptr float, ptr %results.q, i64 %z.at
  br label %query
query:
  %i = phi i64 [0, %head], [%i.next, %query.end]
  %i.at = mul i64 %i, %row
  %q = getelementptr float, ptr %q.head, i64 %i.at
  %tail.at = sub i64 %room, 16
  %tail = getelementptr float, ptr %scores, i64 %tail.at
  store <16 x float> {splat(NOTHING)}, ptr %tail, align 4
  br label %key
{_SCORES}
{_WEIGHTS}
{_VALUES}
query.end:
  %i.next = add i64 %i, 1
  %i.more = icmp ult i64 %i.next, %tokens
  br i1 %i.more, label %query, label %head.end
head.end:
  %h.next = add i64 %h, 1
  %h.more = icmp ult i64 %h.next, %last
  br i1 %h.more, label %head, label %done
done:
  ret void
}}"""


_SCORES: Final = f"""
key:
  %j = phi i64 [0, %query], [%j.next, %key.end]
  %most = phi float [{number(NOTHING)}, %query], [%most.next, %key.end]
  %j.at = mul i64 %j, %row
  %k = getelementptr float, ptr %k.head, i64 %j.at
  br label %dot
dot:
  %d = phi i64 [0, %key], [%d.next, %dot]
  %sum = phi <16 x float> [zeroinitializer, %key], [%sum.next, %dot]
  %q.p = getelementptr float, ptr %q, i64 %d
  %k.p = getelementptr float, ptr %k, i64 %d
  %q.v = load <16 x float>, ptr %q.p, align 4
  %k.v = load <16 x float>, ptr %k.p, align 4
  %sum.next = call <16 x float> @llvm.fma.v16f32(<16 x float> %q.v, <16 x float> %k.v, <16 x float> %sum)
  %d.next = add i64 %d, 16
  %d.more = icmp ult i64 %d.next, %size
  br i1 %d.more, label %dot, label %key.end
key.end:
  %dot.v = call reassoc float @llvm.vector.reduce.fadd.v16f32(float 0.0, <16 x float> %sum.next)
  %score = fmul float %dot.v, %by
  %score.p = getelementptr float, ptr %scores, i64 %j
  store float %score, ptr %score.p, align 4
  %most.next = call float @llvm.maxnum.f32(float %most, float %score)
  %j.next = add i64 %j, 1
  %j.more = icmp ult i64 %j.next, %tokens
  br i1 %j.more, label %key, label %weights"""

_WEIGHTS: Final = f"""
weights:
{spread("most.v", "float", "%most.next")}
  br label %weigh
weigh:
  %w = phi i64 [0, %weights], [%w.next, %weigh]
  %total = phi <16 x float> [zeroinitializer, %weights], [%total.next, %weigh]
  %w.p = getelementptr float, ptr %scores, i64 %w
  %w.score = load <16 x float>, ptr %w.p, align 4
  %w.below = fsub <16 x float> %w.score, %most.v
  %w.raised = call <16 x float> @exponential(<16 x float> %w.below)
  %w.none = fcmp olt <16 x float> %w.score, {splat(NOTHING / 2)}
  %w.v = select <16 x i1> %w.none, <16 x float> zeroinitializer, <16 x float> %w.raised
  store <16 x float> %w.v, ptr %w.p, align 4
  %total.next = fadd <16 x float> %total, %w.v
  %w.next = add i64 %w, 16
  %w.more = icmp ult i64 %w.next, %room
  br i1 %w.more, label %weigh, label %weighed
weighed:
  %all = call reassoc float @llvm.vector.reduce.fadd.v16f32(float 0.0, <16 x float> %total.next)
  %share = fdiv float 1.0, %all
{spread("share.v", "float", "%share")}
  %i.out = mul i64 %i, %wide
  %z = getelementptr float, ptr %z.head, i64 %i.out
  br label %part"""

_VALUES: Final = f"""
part:
  %e = phi i64 [0, %weighed], [%e.next, %part.end]
  br label %value
value:
  %m = phi i64 [0, %part], [%m.next, %value]
  %mix = phi <16 x float> [zeroinitializer, %part], [%mix.next, %value]
  %m.at = mul i64 %m, %row
  %m.place = add i64 %m.at, %e
  %v.p = getelementptr float, ptr %v.head, i64 %m.place
  %v.v = load <16 x float>, ptr %v.p, align 4
  %m.p = getelementptr float, ptr %scores, i64 %m
  %m.w = load float, ptr %m.p, align 4
{spread("m.v", "float", "%m.w")}
  %mix.next = call <16 x float> @llvm.fma.v16f32(<16 x float> %m.v, <16 x float> %v.v, <16 x float> %mix)
  %m.next = add i64 %m, 1
  %m.more = icmp ult i64 %m.next, %tokens
  br i1 %m.more, label %value, label %part.end
part.end:
  %mixed = fmul <16 x float> %mix.next, %share.v
  %z.p = getelementptr float, ptr %z, i64 %e
  store <16 x float> %mixed, ptr %z.p, align 4
  %e.next = add i64 %e, 16
  %e.more = icmp ult i64 %e.next, %size
  br i1 %e.more, label %part, label %query.end"""
