"""Signatures of formats: what a file is that nothing here reads, or that is too damaged to be read.

Data only. A signature stands here so that what it marks is named (``unsupported: LUKS volume (encrypted)``) and not
taken for a file without pictures. Two bytes alone are none: text and chance begin so too.
"""

from __future__ import annotations

from imgmatch.evidence.signature import Signature
from imgmatch.evidence.signature import boxes as _boxes
from imgmatch.evidence.signature import named as _named
from imgmatch.evidence.signature import read as _read
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
    *_named("XPM", "picture", b"/* XPM */"),
    *_named("AutoCAD drawing (DWG)", "document", b"AC10"),
    *_named("Corel drawing", "document", b"RIFF", more=((8, b"CDR"),)),
    *_named("Windows animated cursor (ANI)", "picture", b"RIFF", more=((8, b"ACON"),)),
    *_named("Windows picture (RDIB)", "picture", b"RIFF", more=((8, b"RDIB"),)),
)
SIGNATURES: tuple[Signature, ...] = (*_PICTURES, *VOLUMES, *ARCHIVES)
"""All of them. Where several fit, the longest counts."""
