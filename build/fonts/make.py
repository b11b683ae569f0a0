#!/usr/bin/env python3
"""Makes assets/fonts from Noto Sans CJK (SIL Open Font License 1.1).

    apt-get install python3-fonttools fonts-noto-cjk
    build/fonts/make.py /usr/share/fonts/opentype/noto assets/fonts

Each font covers Latin, Greek, Cyrillic, symbols and the characters of GB 2312, in
one file with one face, so that Chinese and Latin text share a baseline and a
weight. The upright one covers the first level of Big5 as well, for traditional
Chinese. The italic one slants what is not Chinese, as Chinese has no italics.
Quotation marks are as wide as in Latin text. The fonts have a name of their own, as
changed fonts should.
"""
import os
import sys

from fontTools import subset
from fontTools.misc.transform import Transform
from fontTools.pens.t2CharStringPen import T2CharStringPen
from fontTools.pens.transformPen import TransformPen
from fontTools.ttLib import TTCollection

SANS_SC, MONO_SC = 2, 7  # faces of the collections
KOREAN = -1  # from a Chinese face to the Korean one of the same kind
LATIN_MARKS = "\u2018\u2019\u201c\u201d\u00b7"  # of full width in the Chinese faces
SLANT = 0.2  # horizontal shift for each unit of height: about 11 degrees
ASCENT, DESCENT = 1050, -270  # of 1000 units: closer lines than the original's 1160, -288

RANGES = [
    (0x20, 0x7E), (0xA0, 0x17F), (0x192, 0x192), (0x2B0, 0x2FF), (0x300, 0x304),
    (0x370, 0x3FF), (0x400, 0x45F), (0x1E00, 0x1EFF), (0x2000, 0x206F), (0x2070, 0x209F),
    (0x20A0, 0x20BF), (0x2100, 0x218F), (0x2190, 0x21FF), (0x2200, 0x22FF), (0x2300, 0x23FF),
    (0x2460, 0x24FF), (0x2500, 0x25FF), (0x2600, 0x266F), (0x2700, 0x27BF),
    (0x3000, 0x303F), (0x3040, 0x30FF), (0xFE30, 0xFE4F), (0xFF00, 0xFFEF), (0xFFFD, 0xFFFD),
]


def encoded(codec, rows, cells):
    """Characters of a two-byte encoding."""
    out = set()
    for row in rows:
        for cell in cells:
            try:
                out.add(ord(bytes([row, cell]).decode(codec)))
            except (UnicodeDecodeError, TypeError):
                pass
    return out


COMMON = {c for low, high in RANGES for c in range(low, high + 1)}
GB2312 = encoded("gb2312", range(0xA1, 0xF8), range(0xA1, 0xFF))
BIG5_1 = encoded("big5", range(0xA4, 0xC7), [*range(0x40, 0x7F), *range(0xA1, 0xFF)])


def is_chinese(c):
    return c >= 0x2E80 and c != 0xFFFD


def redraw(font, name, width, draw):
    """Puts what draw draws, of that width, in the place of a glyph."""
    top = font["CFF "].cff.topDictIndex[0]
    index, old = top.CharStrings.charStrings[name], top.CharStrings[name]
    glyphs = font.getGlyphSet()
    pen = T2CharStringPen(width, glyphs)
    draw(pen, glyphs)
    new = pen.getCharString(private=old.private, globalSubrs=old.globalSubrs)
    # a width in a charstring counts from the nominal width of its private dictionary
    if width == old.private.defaultWidthX:
        new.program.pop(0)
    else:
        new.program[0] = width - old.private.nominalWidthX
    top.CharStrings.charStringsIndex[index] = new
    font["hmtx"][name] = (width, font["hmtx"][name][1])


def lower_ellipsis(font):
    """Makes the ellipsis three full stops on the line; the original's hang in its middle."""
    cmap = font.getBestCmap()
    stop, width = cmap[ord(".")], font["hmtx"][cmap[ord(".")]][0]
    step = min(width, 300)

    def draw(pen, glyphs):
        for i in range(3):
            glyphs[stop].draw(TransformPen(pen, Transform(1, 0, 0, 1, i * step + (step - width) // 2, 0)))

    redraw(font, cmap[0x2026], 3 * step, draw)


def slant(font, codes):
    """Slants the outlines that codes map to."""
    cmap, glyphs = font.getBestCmap(), font.getGlyphSet()
    by = Transform(1, 0, SLANT, 1, 0, 0)
    for name in {cmap[c] for c in codes if c in cmap}:
        redraw(font, name, glyphs[name].width, lambda pen, glyphs: glyphs[name].draw(TransformPen(pen, by)))


def make(source, weight, face, codes, style, out):
    path = os.path.join(source, f"NotoSansCJK-{weight}.ttc")
    fonts = TTCollection(path, lazy=True).fonts
    font, korean = fonts[face], fonts[face + KOREAN].getBestCmap()
    for table in font["cmap"].tables:
        if table.isUnicode() and table.format != 14:
            table.cmap.update({ord(c): korean[ord(c)] for c in LATIN_MARKS})
    o = subset.Options()
    o.layout_features = ["kern", "ccmp", "mark", "mkmk"]
    o.hinting = False
    o.desubroutinize = style == "Italic"  # slanting needs outlines that share nothing
    o.name_IDs = [0, 1, 2, 3, 4, 5, 6, 13, 14]
    o.notdef_outline = True
    o.drop_tables += ["VORG", "vhea", "vmtx", "BASE", "DSIG"]
    s = subset.Subsetter(o)
    s.populate(unicodes=codes)
    s.subset(font)
    lower_ellipsis(font)
    if style == "Italic":
        slant(font, [c for c in codes if not is_chinese(c)])
    family = "Kestrel Mono" if face == MONO_SC else "Kestrel Sans"
    for record in font["name"].names:
        text = {1: family, 2: style, 3: f"{family} {style}; from Noto Sans CJK SC 2.004", 4: f"{family} {style}",
                6: f"{family}-{style}".replace(" ", "")}.get(record.nameID)
        if text:
            record.string = text
    cff = font["CFF "].cff
    cff.fontNames = [f"{family}-{style}".replace(" ", "")]
    cff.topDictIndex[0].rawDict.update(FullName=f"{family} {style}", FamilyName=family)
    for table, up, down in (("hhea", "ascent", "descent"), ("OS/2", "sTypoAscender", "sTypoDescender")):
        setattr(font[table], up, ASCENT)
        setattr(font[table], down, DESCENT)
    font["OS/2"].usWinAscent, font["OS/2"].usWinDescent = ASCENT, -DESCENT
    font["head"].modified = font["head"].created  # the same bytes each time
    font.recalcTimestamp = False
    font.save(out)
    print(out, os.path.getsize(out), len(font.getGlyphOrder()), "glyphs")


def main():
    source, target = sys.argv[1:]
    for weight, face, codes, style, name in [
        ("Regular", SANS_SC, COMMON | GB2312 | BIG5_1, "Regular", "KestrelSans-Regular.otf"),
        ("Bold", SANS_SC, COMMON | GB2312, "Bold", "KestrelSans-Bold.otf"),
        ("Regular", SANS_SC, COMMON | GB2312, "Italic", "KestrelSans-Italic.otf"),
        ("Regular", MONO_SC, COMMON | GB2312, "Regular", "KestrelMono-Regular.otf"),
    ]:
        make(source, weight, face, codes, style, os.path.join(target, name))


if __name__ == "__main__":
    main()
