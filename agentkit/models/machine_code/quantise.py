"""Tokens become bytes: `quantise_KIND(job, first, last)`, for the tokens first to last - 1.

    [n, width] float32 -> int8, with a scale and a sum for every group of 32 numbers of a token

What comes before a product in a network is done on the way: a norm, or the gate of a feed-forward part.
"""

from __future__ import annotations

from typing import Final

from agentkit.models.machine_code.layout import GROUP, JOB, QUANTISE_FIELDS, TOGETHER
from agentkit.models.machine_code.writing import fields, number, splat, spread


def quantise_text() -> str:
    """All kinds."""
    return "\n".join([_exponential(), *(_quantise(kind) for kind in ("plain", "normed", "gated"))])


def _exponential() -> str:
    """e^x for 16 numbers: 2^n e^r with a polynomial for e^r (Cephes, `expf`); right to 2e-7 of the value."""
    steps = ["define internal <16 x float> @exponential(<16 x float> %given) alwaysinline {"]
    clamp = "  %{0} = call <16 x float> @llvm.{1}num.v16f32(<16 x float> %{2}, <16 x float> {3})"
    steps.append(clamp.format("low", "max", "given", splat(-87.0)))
    steps.append(clamp.format("x", "min", "low", splat(88.0)))
    fma = "  %{0} = call <16 x float> @llvm.fma.v16f32(<16 x float> %{1}, <16 x float> {2}, <16 x float> {3})"
    steps.append(f"  %turns = fmul <16 x float> %x, {splat(1.44269504088896341)}")
    steps.append("  %n = call <16 x float> @llvm.rint.v16f32(<16 x float> %turns)")
    steps.append(fma.format("near", "n", splat(-0.693359375), "%x"))
    steps.append(fma.format("r", "n", splat(2.12194440e-4), "%near"))
    polynomial = (1.9875691500e-4, 1.3981999507e-3, 8.3334519073e-3, 4.1665795894e-2, 1.6666665459e-1, 0.5)
    previous = splat(polynomial[0])
    for index, coefficient in enumerate(polynomial[1:]):
        steps.append(
            f"  %p{index} = call <16 x float> @llvm.fma.v16f32(<16 x float> {previous}, <16 x float> %r, "
            f"<16 x float> {splat(coefficient)})"
        )
        previous = f"%p{index}"
    steps.append("  %square = fmul <16 x float> %r, %r")
    steps.append("  %linear = fadd <16 x float> %r, " + splat(1.0))
    steps.append(fma.format("small", "square", previous, "%linear"))
    steps.append("  %whole = fptosi <16 x float> %n to <16 x i32>")
    steps.append("  %biased = add <16 x i32> %whole, splat (i32 127)")
    steps.append("  %bits = shl <16 x i32> %biased, splat (i32 23)")
    steps.append("  %power = bitcast <16 x i32> %bits to <16 x float>")
    steps.append("  %result = fmul <16 x float> %small, %power")
    steps.append("  ret <16 x float> %result\n}")
    return "\n".join(steps)


def _quantise(kind: str) -> str:
    """`quantise_KIND(job, first, last)`: the rows first to last - 1.

    plain: as they are. normed: x / sqrt(mean(x^2) + epsilon) * weight. gated: rows are twice as wide, a gate g and a
    value u for every number: g / (1 + e^-g) * u.
    """
    wide = 2 if kind == "gated" else 1
    return f"""
define void @quantise_{kind}(ptr %job, i64 %first, i64 %last) {{
entry:
{fields(JOB[4:], 4)}
{fields(QUANTISE_FIELDS, len(JOB))}
  %groups = lshr i64 %width, 5
  %inputs.q = inttoptr i64 %inputs to ptr
  %whole.q = inttoptr i64 %whole to ptr
  %scales.q = inttoptr i64 %scales to ptr
  %weight.q = inttoptr i64 %weight to ptr
  %epsilon.bits = trunc i64 %epsilon to i32
  %epsilon.f = bitcast i32 %epsilon.bits to float
  br label %row
row:
  %r = phi i64 [%first, %entry], [%r.next, %row.end]
  %r.start = mul i64 %r, %width
  %r.input = mul i64 %r.start, {wide}
  %x = getelementptr float, ptr %inputs.q, i64 %r.input
  %together = lshr i64 %r, {TOGETHER.bit_length() - 1}
  %member = and i64 %r, {TOGETHER - 1}
  %before = mul i64 %together, %groups
  %before.bytes = mul i64 %before, {TOGETHER * GROUP}
  %member.bytes = mul i64 %member, {GROUP}
  %q.at = add i64 %before.bytes, %member.bytes
  %q = getelementptr i8, ptr %whole.q, i64 %q.at
  %before.floats = mul i64 %before, {2 * TOGETHER}
  %scale.at = add i64 %before.floats, %member
  %scale.row = getelementptr float, ptr %scales.q, i64 %scale.at
{_MEAN_SQUARE if kind == "normed" else "  br label %start"}
start:
  br label %group
group:
  %g = phi i64 [0, %start], [%g.next, %group]
  %at = shl i64 %g, 5
{_group_values(kind)}
{_GROUP_OUT}
  %g.next = add i64 %g, 1
  %g.more = icmp ult i64 %g.next, %groups
  br i1 %g.more, label %group, label %row.end
row.end:
  %r.next = add i64 %r, 1
  %r.more = icmp ult i64 %r.next, %last
  br i1 %r.more, label %row, label %done
done:
  ret void
}}"""


_MEAN_SQUARE: Final = f"""  br label %square
square:
  %s = phi i64 [0, %row], [%s.next, %square]
  %squares = phi <16 x float> [zeroinitializer, %row], [%squares.next, %square]
  %s.p = getelementptr float, ptr %x, i64 %s
  %s.x = load <16 x float>, ptr %s.p, align 4
  %squares.next = call <16 x float> @llvm.fma.v16f32(<16 x float> %s.x, <16 x float> %s.x, <16 x float> %squares)
  %s.next = add i64 %s, 16
  %s.more = icmp ult i64 %s.next, %width
  br i1 %s.more, label %square, label %squared
squared:
  %all = call reassoc float @llvm.vector.reduce.fadd.v16f32(float 0.0, <16 x float> %squares.next)
  %count = uitofp i64 %width to float
  %mean = fdiv float %all, %count
  %above = fadd float %mean, %epsilon.f
  %root = call float @llvm.sqrt.f32(float %above)
  %inverse = fdiv float 1.0, %root
{spread("by", "float", "%inverse")}
  br label %start"""


def _group_values(kind: str) -> str:
    """%v0 and %v1: the numbers of a group, in two vectors."""
    lines = []
    for half in (0, 1):
        lines.append(
            f"  %at{half} = add i64 %at, {16 * half}\n"
            f"  %x{half}.p = getelementptr float, ptr %x, i64 %at{half}\n"
            f"  %x{half} = load <16 x float>, ptr %x{half}.p, align 4"
        )
        if kind == "plain":
            lines.append(f"  %v{half} = fadd <16 x float> %x{half}, zeroinitializer")
        elif kind == "normed":
            lines.append(
                f"  %w{half}.p = getelementptr float, ptr %weight.q, i64 %at{half}\n"
                f"  %w{half} = load <16 x float>, ptr %w{half}.p, align 4\n"
                f"  %n{half} = fmul <16 x float> %x{half}, %by\n"
                f"  %v{half} = fmul <16 x float> %n{half}, %w{half}"
            )
        else:
            lines.append(
                f"  %up{half}.at = add i64 %at{half}, %width\n"
                f"  %up{half}.p = getelementptr float, ptr %x, i64 %up{half}.at\n"
                f"  %up{half} = load <16 x float>, ptr %up{half}.p, align 4\n"
                f"  %minus{half} = fneg <16 x float> %x{half}\n"
                f"  %e{half} = call <16 x float> @exponential(<16 x float> %minus{half})\n"
                f"  %below{half} = fadd <16 x float> %e{half}, {splat(1.0)}\n"
                f"  %gate{half} = fdiv <16 x float> %x{half}, %below{half}\n"
                f"  %v{half} = fmul <16 x float> %gate{half}, %up{half}"
            )
    return "\n".join(lines)


_GROUP_OUT: Final = f"""
  %m0 = call <16 x float> @llvm.fabs.v16f32(<16 x float> %v0)
  %m1 = call <16 x float> @llvm.fabs.v16f32(<16 x float> %v1)
  %m = call <16 x float> @llvm.maxnum.v16f32(<16 x float> %m0, <16 x float> %m1)
  %largest = call float @llvm.vector.reduce.fmax.v16f32(<16 x float> %m)
  %none = fcmp ole float %largest, {number(1e-30)}
  %safe = select i1 %none, float 1.0, float %largest
  %up.v = fdiv float 127.0, %safe
{spread("up", "float", "%up.v")}
  %scale = fdiv float %safe, 127.0
  %big0 = fmul <16 x float> %v0, %up
  %big1 = fmul <16 x float> %v1, %up
  %near0 = call <16 x float> @llvm.rint.v16f32(<16 x float> %big0)
  %near1 = call <16 x float> @llvm.rint.v16f32(<16 x float> %big1)
  %i0 = fptosi <16 x float> %near0 to <16 x i32>
  %i1 = fptosi <16 x float> %near1 to <16 x i32>
  %b0 = trunc <16 x i32> %i0 to <16 x i8>
  %b1 = trunc <16 x i32> %i1 to <16 x i8>
  %q.group = mul i64 %g, {TOGETHER * GROUP}
  %q0.p = getelementptr i8, ptr %q, i64 %q.group
  %q1.p = getelementptr i8, ptr %q0.p, i64 16
  store <16 x i8> %b0, ptr %q0.p, align 1
  store <16 x i8> %b1, ptr %q1.p, align 1
  %i = add <16 x i32> %i0, %i1
  %sum.i = call i32 @llvm.vector.reduce.add.v16i32(<16 x i32> %i)
  %sum.f = sitofp i32 %sum.i to float
  %sum = fmul float %sum.f, %scale
  %scale.group = mul i64 %g, {2 * TOGETHER}
  %scale.p = getelementptr float, ptr %scale.row, i64 %scale.group
  store float %scale, ptr %scale.p, align 4
  %sum.p = getelementptr float, ptr %scale.p, i64 {TOGETHER}
  store float %sum, ptr %sum.p, align 4"""
