"""Signatures of formats: what a file is that nothing here reads, or that is too damaged to be read.

Data only. A signature stands here so that what it marks is named (``unsupported: LUKS volume (encrypted)``) and not
taken for a file without pictures. Two bytes alone are none: text and chance begin so too.
"""

from __future__ import annotations

from imgmatch.evidence.signature import Signature
from imgmatch.evidence.signature import boxes as _boxes
from imgmatch.evidence.signature import named as _named
from imgmatch.evidence.signature import read as _read
from imgmatch.evidence.signatures_of_programs import DOCUMENTS, LOCKED, MAIL, VIDEOS
from imgmatch.evidence.signatures_of_storage import ARCHIVES, VOLUMES

_PICTURES = (
    *_read("JPEG", b"\xff\xd8\xff"),
    *_read("PNG", b"\x89PNG\r\n\x1a\n"),
    *_read("GIF", b"GIF87a", b"GIF89a"),
    *_read("TIFF", b"II*\0", b"MM\0*", b"II+\0", b"MM\0+"),
    *_read("WebP", b"RIFF", more=((8, b"WEBP"),)),
    *(
        sign
        for size in (12, 40, 52, 56, 64, 108, 124)
        for sign in _read("BMP", b"BM", more=((14, bytes([size, 0, 0, 0])),))
    ),
    *_read("JPEG 2000", b"\0\0\0\x0cjP  \r\n\x87\n", b"\xff\x4f\xff\x51\0"),
    *_named("ZSoft picture of several (DCX)", "picture", b"\xb1\x68\xde\x3a"),
    *_named("PAM", "picture", b"P7\nWIDTH", b"P7 332"),
    *_boxes("HEIF picture", "picture", b"heic", b"heix", b"heim", b"heis", b"hevc", b"hevx", b"mif1", b"msf1"),
    *_boxes("AVIF picture", "picture", b"avif", b"avis"),
    *_read("camera raw of Canon (CR3)", b"ftypcrx ", at=4),
    *_read("camera raw of Fujifilm (RAF)", b"FUJIFILMCCD-RAW"),
    *_read("camera raw of Sigma (X3F)", b"FOVb"),
    *_read("camera raw of Olympus (ORF)", b"IIRO", b"IIRS", b"MMOR"),
    *_read("camera raw of Panasonic (RW2)", b"IIU\0"),
    *_read("camera raw of Minolta (MRW)", b"\0MRM"),
    *_read("camera raw of Canon (CRW)", b"HEAPCCDR", at=6),
    *_read("JPEG XR", b"II\xbc\x01"),
    *_read("JPEG XL", b"\0\0\0\x0cJXL \r\n\x87\n"),
    *_read("JPEG-LS", b"\xff\xd8\xff\xf7"),
    *_read("Photoshop picture (PSD)", b"8BPS\0\x01"),
    *_read("large Photoshop picture (PSB)", b"8BPS\0\x02"),
    *_read("TGA", b"TRUEVISION-XFILE.\0", at=-18),
    *_read("DDS texture", b"DDS \x7c\0\0\0"),
    *_named("KTX texture", "picture", b"\xabKTX 11\xbb\r\n\x1a\n", b"\xabKTX 20\xbb\r\n\x1a\n"),
    *_named("PVR texture", "picture", b"PVR\x03"),
    *_read("Apple icons (ICNS)", b"icns"),
    *_read("QOI", b"qoif"),
    *_read("SGI picture", b"\x01\xda\0\x01", b"\x01\xda\x01\x01"),
    *_read("Sun raster", b"\x59\xa6\x6a\x95"),
    *_named("OpenEXR", "picture", b"\x76\x2f\x31\x01"),
    *_named("Radiance HDR", "picture", b"#?RADIANCE", b"#?RGBE"),
    *_named("GIMP picture (XCF)", "picture", b"gimp xcf"),
    *_named("Krita picture", "picture", b"mimetypeapplication/x-krita", at=30),
    *_named("Paint Shop Pro picture", "picture", b"Paint Shop Pro Image File"),
    *_named("DjVu", "document", b"AT&TFORM"),
    *_named("BPG", "picture", b"BPG\xfb"),
    *_named("FLIF", "picture", b"FLIF"),
    *_named("JPEG XS", "picture", b"\xff\x10\xff\x50", b"\0\0\0\x0cJXS \r\n\x87\n"),
    *_named("JBIG2", "picture", b"\x97JB2\r\n\x1a\n"),
    *_named("MNG", "picture", b"\x8aMNG\r\n\x1a\n"),
    *_named("JNG", "picture", b"\x8bJNG\r\n\x1a\n"),
    *_named("FITS", "picture", b"SIMPLE  =                    T"),
    *_named("DICOM", "picture", b"DICM", at=128),
    *_named("DPX", "picture", b"SDPX", b"XPDS"),
    *_named("Cineon", "picture", b"\x80\x2a\x5f\xd7"),
    *_named("Interchange picture (ILBM)", "picture", b"FORM", more=((8, b"ILBM"),)),
    *_named("Interchange picture (PBM)", "picture", b"FORM", more=((8, b"PBM "),)),
    *_named("Windows metafile (WMF)", "picture", b"\xd7\xcd\xc6\x9a\0\0", b"\x01\0\x09\0\0\x03"),
    *_named("Windows metafile (EMF)", "picture", b"\x01\0\0\0", more=((40, b" EMF"),)),
    *_named("PostScript (EPS)", "document", b"%!PS-Adobe", b"\xc5\xd0\xd3\xc6"),
    *_read("XPM", b"/* XPM */"),
    *_named("AutoCAD drawing (DWG)", "document", b"AC10"),
    *_named("Corel drawing", "document", b"RIFF", more=((8, b"CDR"),)),
    *_named("Windows animated cursor (ANI)", "picture", b"RIFF", more=((8, b"ACON"),)),
    *_named("Windows picture (RDIB)", "picture", b"RIFF", more=((8, b"RDIB"),)),
    *_read("texture of Blizzard (BLP)", b"BLP1\0\0\0", b"BLP2\1\0\0\0"),
    *_named("texture of Valve (VTF)", "picture", b"VTF\0\7\0\0\0"),
    *_named("ASTC texture", "picture", b"\x13\xab\xa1\x5c"),
    *_named("PKM texture", "picture", b"PKM 10", b"PKM 20"),
    *_named("Macintosh picture (PICT)", "picture", b"\0\x11\2\xff\x0c\0", at=522),
    *_named("MacPaint picture", "picture", b"PNTG", at=65),
    *_read("Microsoft Paint picture (MSP)", b"DanM", b"LinS"),
    *_named("picture of IFUNC (IM)", "picture", b"Image type: "),
    *_named("ImageMagick picture (MIFF)", "picture", b"id=ImageMagick"),
    *_named("farbfeld picture", "picture", b"farbfeld"),
    *_named("Progressive Graphics (PGF)", "picture", b"PGF6", b"PGF7"),
    *_named("Paint.NET picture", "picture", b"PDN3"),
    *_named("Clip Studio picture", "picture", b"CSFCHUNK"),
    *_named("Corel Photo-Paint picture", "picture", b"CPTFILE", b"CPT7FILE", b"CPT9FILE"),
    *_named("Corel Photo-Paint picture", "picture", b"RIFF", more=((8, b"CPT"),)),
    *_read("Photo CD picture (PCD)", b"PCD_IPI", at=2048),
    *_named("Softimage picture (PIC)", "picture", b"\x53\x80\xf6\x34"),
    *_named("X window dump (XWD)", "picture", b"\0\0\0\7\0\0\0\2", at=4),
    *_named("X cursor", "picture", b"Xcur\x10\0\0\0"),
    *_named("Lytro picture (LFP)", "picture", b"\x89LFP\r\n\x1a\n"),
    *_named("picture of intelligence (NITF)", "picture", b"NITF0", b"NSIF0"),
    *_named("picture of planets (VICAR)", "picture", b"LBLSIZE="),
    *_named("fax of CALS", "picture", b"srcdocid:"),
    *_named("fingerprint (WSQ)", "picture", b"\xff\xa0\xff\xa4", b"\xff\xa0\xff\xa8"),
    *_read("thumbnail of XV", b"P7 332\n"),
    *_read("GIMP brush", b"GIMP", at=20, more=((0, b"\0\0\0"),)),
    *_named("GIMP pattern", "picture", b"GPAT", at=20, more=((0, b"\0\0\0"),)),
    *_named("AOL picture (ART)", "picture", b"JG\3\x0e\0", b"JG\4\x0e\0"),
    *_named("camera raw of Phase One (IIQ)", "picture", b"IIII", b"MMMM", at=8, more=((12, b"TwaR"),)),
    *_named("camera raw of Phase One (IIQ)", "picture", b"MMMM", at=8, more=((12, b"Rawt"),)),
    *_named("camera raw of QuickTake", "picture", b"qktk\0", b"qktn\0"),
)
SIGNATURES: tuple[Signature, ...] = (*_PICTURES, *VOLUMES, *ARCHIVES, *MAIL, *LOCKED, *DOCUMENTS, *VIDEOS)
"""All of them. Where several fit, the longest counts."""
