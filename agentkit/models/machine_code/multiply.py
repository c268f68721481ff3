"""Products of bytes: `multiply_BITS(job, first, last)`, for the blocks of 16 outputs first to last - 1 and all tokens.

Weights have 4 or 8 bits and lie in blocks of 16 rows (outputs) by one group of 32 inputs, the rows being the lanes of a
vector; a block is read once for up to 8 tokens. Sums of whole numbers are exact; each group is scaled in float32.

The arrangement is that of llama.cpp's repacked formats (ggml, `Q4_0_8_8`), with a scale and an offset for each row of a
block, as in its `Q4_1` and `Q4_K`. `vpdpbusd` multiplies unsigned by signed bytes: weights are unsigned.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

from agentkit.models.machine_code.layout import (
    BLOCK_BYTES,
    GROUP,
    JOB,
    MULTIPLY_FIELDS,
    TOGETHER,
    Bits,
    Instructions,
)
from agentkit.models.machine_code.writing import fields, indices, largest_tile, splat, spread

_MOST: Final[dict[Instructions, int]] = {"avx512bf16": 8, "avx512vnni": 8, "avxvnni": 4, "avx2": 4}
"""Tokens that are computed together: as many as the registers hold, and any smaller number. In two portions the
second one would find the weights in the cache, with memory idle meanwhile."""
_AHEAD: Final = 8
"""Groups; with several tokens the processor itself does not look far enough ahead for what comes from memory."""
_ENOUGH: Final = 4
"""So many tokens keep the multipliers busy with one sum for each."""


def multiply_text(instructions: Instructions) -> str:
    """For both numbers of bits."""
    tiles = range(_MOST[instructions], 0, -1)
    parts = _dots(instructions)
    for bits in BLOCK_BYTES:
        parts += [_tile(bits, tokens) for tokens in tiles]
        parts.append(_multiply(bits, tiles))
    return "\n".join(parts)


def _dots(instructions: Instructions) -> list[str]:
    """`dot_4` and `dot_8`: to each of 16 sums add four products of an unsigned and a signed byte."""
    head = (
        "define internal <16 x i32> @dot_{0}(<16 x i32> %sum, <64 x i8> %u, <64 x i8> %s) alwaysinline {{\n"
    )
    if instructions in ("avx512bf16", "avx512vnni"):
        name = "@llvm.x86.avx512.vpdpbusd.512(<16 x i32>{0}, <64 x i8>{1}, <64 x i8>{2})"
        body = f"  %r = call <16 x i32> {name.format(' %sum', ' %u', ' %s')}\n  ret <16 x i32> %r\n}}"
        declared = "declare <16 x i32> " + name.format("", "", "")
        return [declared, *(head.format(bits) + body for bits in BLOCK_BYTES)]
    halves = "".join(
        f"  %{value}{half} = shufflevector <64 x i8> %{value}, <64 x i8> poison, "
        f"<32 x i32> {indices(range(32 * half, 32 * half + 32))}\n"
        for value in "us"
        for half in (0, 1)
    )
    joined = (
        f"  %new = shufflevector <8 x i32> %h0, <8 x i32> %h1, <16 x i32> {indices(range(16))}\n"
        "  %r = add <16 x i32> %sum, %new\n  ret <16 x i32> %r\n}"
    )
    if instructions == "avxvnni":
        name = "@llvm.x86.avx512.vpdpbusd.256(<8 x i32>{0}, <32 x i8>{1}, <32 x i8>{2})"
        calls = "".join(
            f"  %h{half} = call <8 x i32> {name.format(' zeroinitializer', f' %u{half}', f' %s{half}')}\n"
            for half in (0, 1)
        )
        declared = "declare <8 x i32> " + name.format("", "", "")
        return [declared, *(head.format(bits) + halves + calls + joined for bits in BLOCK_BYTES)]
    return [
        _AVX2_HALF,
        head.format(4) + halves + _avx2_calls(4) + joined,
        head.format(8) + halves + _avx2_calls(8) + joined,
    ]


_AVX2_HALF: Final = """
declare <16 x i16> @llvm.x86.avx2.pmadd.ub.sw(<32 x i8>, <32 x i8>)
declare <8 x i32> @llvm.x86.avx2.pmadd.wd(<16 x i16>, <16 x i16>)
; For unsigned numbers below 16: sums of two products fit 16 bits, which the instruction would otherwise cut.
define internal <8 x i32> @half(<32 x i8> %u, <32 x i8> %s, <16 x i16> %times) alwaysinline {
  %pairs = call <16 x i16> @llvm.x86.avx2.pmadd.ub.sw(<32 x i8> %u, <32 x i8> %s)
  %fours = call <8 x i32> @llvm.x86.avx2.pmadd.wd(<16 x i16> %pairs, <16 x i16> %times)
  ret <8 x i32> %fours
}"""


def _avx2_calls(bits: Bits) -> str:
    call = "  %{0} = call <8 x i32> @half(<32 x i8> %{1}, <32 x i8> %s{2}, <16 x i16> splat (i16 {3}))\n"
    if bits == 4:
        return "".join(call.format(f"h{half}", f"u{half}", half, 1) for half in (0, 1))
    lines = ""
    for half in (0, 1):
        lines += f"  %low{half} = and <32 x i8> %u{half}, splat (i8 15)\n"
        lines += f"  %high{half} = lshr <32 x i8> %u{half}, splat (i8 4)\n"
        lines += call.format(f"a{half}", f"low{half}", half, 1) + call.format(
            f"b{half}", f"high{half}", half, 16
        )
        lines += f"  %h{half} = add <8 x i32> %a{half}, %b{half}\n"
    return lines


def _tile(bits: Bits, tokens: int) -> str:
    """`tile_BITS_TOKENS`: 16 outputs of so many tokens."""
    every = range(tokens)
    sums = "\n".join(
        f"  %f{t} = phi <16 x float> [zeroinitializer, %entry], [%f{t}.next, %group]" for t in every
    )
    return f"""
define internal void @tile_{bits}_{tokens}(ptr %weights, ptr %whole, ptr %scales, i64 %groups,
    ptr %row_scales, ptr %bias, ptr %results, i64 %outputs, i64 %add) alwaysinline {{
entry:
  br label %group
group:
  %g = phi i64 [0, %entry], [%g.next, %group]
{sums}
  %block.at = mul i64 %g, {BLOCK_BYTES[bits]}
  %block = getelementptr i8, ptr %weights, i64 %block.at
  %a.at = mul i64 %g, {TOGETHER * GROUP}
  %a = getelementptr i8, ptr %whole, i64 %a.at
  %s.at = mul i64 %g, {2 * TOGETHER}
  %s = getelementptr float, ptr %scales, i64 %s.at
{_ahead(bits) if tokens > 1 else ""}
{_dot_products(bits, tokens)}
{_scaled(bits, tokens)}
  %g.next = add i64 %g, 1
  %g.more = icmp ult i64 %g.next, %groups
  br i1 %g.more, label %group, label %end
end:
  %rs = load <16 x float>, ptr %row_scales, align 4
  %b = load <16 x float>, ptr %bias, align 4
  %keep = icmp ne i64 %add, 0
{_results(tokens)}
  ret void
}}"""


def _ahead(bits: Bits) -> str:
    """Ask for the weights of a later group."""
    size = BLOCK_BYTES[bits]
    return "\n".join(
        f"  %ahead{line} = getelementptr i8, ptr %block, i64 {_AHEAD * size + 64 * line}\n"
        f"  call void @llvm.prefetch.p0(ptr %ahead{line}, i32 0, i32 3, i32 1)"
        for line in range(size // 64)
    )


def _dot_products(bits: Bits, tokens: int) -> str:
    """%t0, %t1, …: the whole-number sums of this group for every token."""
    lines = []
    for step in range(8 if bits == 8 else 4):
        lines.append(
            f"  %w{step}.p = getelementptr i8, ptr %block, i64 {64 * step}\n"
            f"  %w{step} = load <64 x i8>, ptr %w{step}.p, align 1"
        )
        if bits == 4:
            lines.append(
                f"  %u{step} = and <64 x i8> %w{step}, splat (i8 15)\n"
                f"  %u{step + 4} = lshr <64 x i8> %w{step}, splat (i8 4)"
            )
        else:
            lines.append(f"  %u{step} = bitcast <64 x i8> %w{step} to <64 x i8>")
        for quad in (step, step + 4) if bits == 4 else (step,):
            for t in range(tokens):
                sum_, before = _sum_of(bits, tokens, step, quad)
                known = f"%{sum_}{t}.{before - 1}" if before else "zeroinitializer"
                lines.append(
                    f"  %y{t}.{quad}.p = getelementptr i8, ptr %a, i64 {GROUP * t + 4 * quad}\n"
                    f"  %y{t}.{quad}.v = load i32, ptr %y{t}.{quad}.p, align 1\n"
                    + spread(f"y{t}.{quad}.s", "i32", f"%y{t}.{quad}.v")
                    + f"\n  %y{t}.{quad} = bitcast <16 x i32> %y{t}.{quad}.s to <64 x i8>\n"
                    f"  %{sum_}{t}.{before} = call <16 x i32> @dot_{bits}(<16 x i32> {known}, <64 x i8> %u{quad}, "
                    f"<64 x i8> %y{t}.{quad})"
                )
    if tokens < _ENOUGH:
        lines += [f"  %t{t} = add <16 x i32> %c{t}.3, %d{t}.3" for t in range(tokens)]
    return "\n".join(lines)


def _sum_of(bits: Bits, tokens: int, step: int, quad: int) -> tuple[str, int]:
    """Which sum the products of a quad of inputs go to, and how many went there before.

    With few tokens there are two sums for each, so that one does not wait for the other.
    """
    order = 2 * step + (quad != step) if bits == 4 else step
    if tokens >= _ENOUGH:
        return "c", order
    return ("c", "d")[order % 2], order // 2


def _total(tokens: int, token: int) -> str:
    """The name of the sum of a token in this group."""
    return f"c{token}.7" if tokens >= _ENOUGH else f"t{token}"


def _scaled(bits: Bits, tokens: int) -> str:
    """%f0.next, …: the sums of floats with this group: weights are scale * number + offset; 8 bits: number - 128."""
    lines = []
    if bits == 4:
        for name, place in (("ws", 256), ("wo", 288)):
            lines.append(
                f"  %{name}.p = getelementptr i8, ptr %block, i64 {place}\n"
                f"  %{name}.h = load <16 x half>, ptr %{name}.p, align 1\n"
                f"  %{name} = fpext <16 x half> %{name}.h to <16 x float>"
            )
    offset = "%wo" if bits == 4 else splat(-128.0)
    for t in range(tokens):
        lines.append(
            f"  %s{t}.p = getelementptr float, ptr %s, i64 {t}\n"
            f"  %s{t}.v = load float, ptr %s{t}.p, align 4\n" + spread(f"s{t}", "float", f"%s{t}.v")
        )
        scale = f"%s{t}"
        if bits == 4:
            lines.append(f"  %sw{t} = fmul <16 x float> %s{t}, %ws")
            scale = f"%sw{t}"
        lines.append(
            f"  %o{t}.p = getelementptr float, ptr %s, i64 {TOGETHER + t}\n"
            f"  %o{t}.v = load float, ptr %o{t}.p, align 4\n"
            + spread(f"o{t}", "float", f"%o{t}.v")
            + f"\n  %t{t}.f = sitofp <16 x i32> %{_total(tokens, t)} to <16 x float>\n"
            f"  %f{t}.a = call <16 x float> @llvm.fma.v16f32(<16 x float> %t{t}.f, <16 x float> {scale}, "
            f"<16 x float> %f{t})\n"
            f"  %f{t}.next = call <16 x float> @llvm.fma.v16f32(<16 x float> %o{t}, <16 x float> {offset}, "
            f"<16 x float> %f{t}.a)"
        )
    return "\n".join(lines)


def _results(tokens: int) -> str:
    """Write the 16 outputs of every token, or add them to what is there."""
    return "\n".join(
        f"  %z{t}.at = mul i64 %outputs, {t}\n"
        f"  %z{t}.p = getelementptr float, ptr %results, i64 %z{t}.at\n"
        f"  %z{t} = call <16 x float> @llvm.fma.v16f32(<16 x float> %f{t}.next, <16 x float> %rs, <16 x float> %b)\n"
        f"  %z{t}.old = load <16 x float>, ptr %z{t}.p, align 4\n"
        f"  %z{t}.sum = fadd <16 x float> %z{t}, %z{t}.old\n"
        f"  %z{t}.new = select i1 %keep, <16 x float> %z{t}.sum, <16 x float> %z{t}\n"
        f"  store <16 x float> %z{t}.new, ptr %z{t}.p, align 4"
        for t in range(tokens)
    )


def _multiply(bits: Bits, tiles: Sequence[int]) -> str:
    """`multiply_BITS(job, first, last)`: the blocks of 16 outputs first to last - 1, for all tokens."""
    pointers = ("whole", "scales", "weights", "row_scales", "bias", "results")
    phis = ", ".join(["[0, %block]", *(f"[%after{t}, %do{t}]" for t in tiles)])
    arguments = "ptr %w, ptr %a, ptr %s, i64 %groups, ptr %rs, ptr %bs, ptr %z, i64 %outputs, i64 %add"
    calls = {tokens: f"call void @tile_{bits}_{tokens}({arguments})" for tokens in tiles}
    return f"""
define void @multiply_{bits}(ptr %job, i64 %first, i64 %last) {{
entry:
{fields(JOB[4:], 4)}
{fields(MULTIPLY_FIELDS, len(JOB))}
{chr(10).join(f"  %{name}.q = inttoptr i64 %{name} to ptr" for name in pointers)}
  %groups = lshr i64 %width, 5
  %row.bytes = mul i64 %groups, {BLOCK_BYTES[bits]}
  br label %block
block:
  %b = phi i64 [%first, %entry], [%b.next, %block.end]
  %w.at = mul i64 %b, %row.bytes
  %w = getelementptr i8, ptr %weights.q, i64 %w.at
  %column = shl i64 %b, 4
  %rs = getelementptr float, ptr %row_scales.q, i64 %column
  %bs = getelementptr float, ptr %bias.q, i64 %column
  br label %token
token:
  %t = phi i64 {phis}
  %left = sub i64 %rows, %t
  %together = lshr i64 %t, {TOGETHER.bit_length() - 1}
  %member = and i64 %t, {TOGETHER - 1}
  %before = mul i64 %together, %groups
  %before.bytes = mul i64 %before, {TOGETHER * GROUP}
  %member.bytes = mul i64 %member, {GROUP}
  %a.at = add i64 %before.bytes, %member.bytes
  %a = getelementptr i8, ptr %whole.q, i64 %a.at
  %before.floats = mul i64 %before, {2 * TOGETHER}
  %s.at = add i64 %before.floats, %member
  %s = getelementptr float, ptr %scales.q, i64 %s.at
  %z.row = mul i64 %t, %outputs
  %z.at = add i64 %z.row, %column
  %z = getelementptr float, ptr %results.q, i64 %z.at
  br label %try{tiles[0]}
{largest_tile(tiles, calls, "block.end")}
block.end:
  %b.next = add i64 %b, 1
  %b.more = icmp ult i64 %b.next, %last
  br i1 %b.more, label %block, label %done
done:
  ret void
}}"""
