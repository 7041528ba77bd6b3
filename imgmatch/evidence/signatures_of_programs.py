"""Signatures of what programs keep (``imgmatch.evidence.signatures``): mail, backups of phones, what is encrypted,
documents, databases, videos.
"""

from __future__ import annotations

from imgmatch.evidence.signature import Signature, named

_CIPHER = "(encrypted)"
_ESE = b"\xef\xcd\xab\x89"
_SESSION_KEYS = (  # packets of RFC 9580, 5.1 and 5.3: for RSA of 1,024 to 4,096 bits, for curves, by a password
    *(b"\x85\1\x0c\3", b"\x85\2\x0c\3", b"\x85\1\x8c\3", b"\x84\x8c\3", b"\x84\x5e\3", b"\x84\x7e\3"),
    *(
        b"\xc1\xc0\x4c\3",
        b"\xc1\xc0\xcc\3",
        b"\xc1\xc1\x4c\3",
        b"\x8c\x0d\4",
        b"\xc3\x0d\4",
        b"\x8c\x2e\4",
        b"\xc3\x2e\4",
    ),
)
_ENVELOPED = b"\x06\x09\x2a\x86\x48\x86\xf7\x0d\x01\x07\x03"
_SIGNED = b"\x06\x09\x2a\x86\x48\x86\xf7\x0d\x01\x07\x02"

MAIL: tuple[Signature, ...] = (
    *named("mail store of Outlook (PST, OST)", "mail", b"!BDN"),
    *(
        sign
        for kind in (b"\xc5", b"\xc6", b"\xc7")
        for sign in named(
            "mail folder of Outlook Express (DBX)", "mail", b"\xcf\xad\x12\xfe" + kind + b"\xfd\x74\x6f\x66\xe3\xd1\x11"
        )
    ),
    *named("mail folder of Outlook Express 4 (MBX)", "mail", b"JMF9", b"JMF6"),
    *named("database of Lotus Notes (NSF)", "mail", b"\x1a\0\0\x04\0\0", b"\x1a\0\0\x03\0\0"),
    *named("mail folder of The Bat! (TBB)", "mail", b"\x21\x09\x70\x19\x30\x09"),
    *named("mail cabinet of AOL (PFC)", "mail", b"AOLVM100"),
    *named(
        "address book of Windows (WAB)",
        "mail",
        b"\x9c\xcb\xcb\x8d\x13\x75\xd2\x11",
        b"\x81\x32\x84\xc1\x85\x05\xd0\x11",
    ),
    *(
        sign
        for at in (2, 3, 4, 5)
        for name, oid in ((f"message {_CIPHER} by S/MIME", _ENVELOPED), ("message signed by S/MIME", _SIGNED))
        for sign in named(name, "mail", oid, at=at, more=((0, b"\x30"),))
    ),
)
LOCKED: tuple[Signature, ...] = (
    *named(f"file of OpenPGP {_CIPHER}", "archive", *_SESSION_KEYS),
    *named(
        f"KeePass database {_CIPHER}",
        "archive",
        b"\x03\xd9\xa2\x9a\x67\xfb\x4b\xb5",
        b"\x03\xd9\xa2\x9a\x65\xfb\x4b\xb5",
    ),
    *named(f"PGP disk {_CIPHER}", "volume", b"PGPdMAIN"),
    *named(f"BestCrypt container {_CIPHER}", "volume", b"LOCOS94 ", at=3),
    *named(f"Apple Encrypted Archive {_CIPHER}", "archive", b"AEA1"),
    *named(f"file of mcrypt {_CIPHER}", "archive", b"\0m\2", b"\0m\3"),
    *named(f"file of Vim {_CIPHER}", "archive", b"VimCrypt~"),
    *named(f"block of CryFS {_CIPHER}", "volume", b"cryfs.block;", b"cryfs.config;"),
    *named(f"item of 1Password {_CIPHER}", "archive", b"opdata01", b"OPCLDATA"),
    *named(f"file of scrypt {_CIPHER}", "archive", b"scrypt\0"),
    *named(f"file of Dovecot {_CIPHER}", "mail", b"CRYPTED\x03\x07"),
    *named(f"backup of Borg {_CIPHER}", "archive", b"BORG_SEG"),
    *named(f"backup of duplicacy {_CIPHER}", "archive", b"duplicacy\0"),
    *named(f"store of Telegram {_CIPHER}", "archive", b"TDF$", b"TDEF"),
    *named(
        f"backup of Signal {_CIPHER}",
        "archive",
        b"\x0a\x10",
        at=6,
        more=((0, b"\0\0\0"), (4, b"\x0a"), (24, b"\x12\x20")),
    ),
    *named("backup of Xiaomi (MIUI)", "archive", b"MIUI BACKUP\n"),
    *named("backup of a BlackBerry (IPD)", "archive", b"Inter@ctive Pager Backup/Restore File"),
    *named("backup of Nokia (NBU)", "archive", bytes.fromhex("cc52331c3c70ba4091d3e3c3a28a8dda")),
)
DOCUMENTS: tuple[Signature, ...] = (
    *named("notebook of OneNote", "document", bytes.fromhex("e4525c7b8cd8a74daeb15378d02996d3")),
    *named("table of contents of OneNote", "document", bytes.fromhex("a12fff43d9ef764c9ee210ea5722765f")),
    *named("compiled help (CHM)", "document", b"ITSF\3\0\0\0", b"ITSF\2\0\0\0", b"ITSF\4\0\0\0"),
    *named("book of Microsoft Reader (LIT)", "document", b"ITOLITLS"),
    *named("Windows help (HLP)", "document", b"\x3f\x5f\3\0"),
    *named("note of Windows Journal", "document", b"NB*\0"),
    *named("book of Mobipocket or Kindle", "document", b"BOOKMOBI", at=60),
    *named("book of Kindle (KFX)", "document", b"CONT\2\0", b"\xeaDRMION\xee"),
    *named("book of Kindle (Topaz)", "document", b"TPZ0"),
    *named("book of Sony (LRF)", "document", b"L\0R\0F\0\0\0"),
    *named("picture of several of Microsoft (MDI)", "document", b"EP*\0"),
    *named("document of InDesign", "document", bytes.fromhex("0606edf5d81d46e5bd31efe7fe74b71d")),
    *named("document of QuarkXPress", "document", b"IIXPR", b"MMXPR", at=2),
    *named("document of Affinity", "document", b"\0\xffKA"),
    *named("document of WordPerfect", "document", b"\xffWPC"),
    *named("document of Hangul", "document", b"HWP Document File"),
    *named("document of FrameMaker", "document", b"<MakerFile"),
    *named("drawing of Micrografx", "document", b"\1\xff\2\4\3\2"),
    *named("drawing of WordPerfect (WPG)", "picture", b"\xffWPC", more=((8, b"\1\x16"),)),
    *named("Shockwave Flash", "document", *(b"FWS" + bytes([version]) for version in range(1, 51))),
    *named("Shockwave (DIR)", "document", b"RIFX", b"XFIR"),
    *named("3D scene (glTF)", "document", b"glTF\1\0\0\0", b"glTF\2\0\0\0"),
    *named("3D scene (FBX)", "document", b"Kaydara FBX Binary"),
    *named("3D scene (USD)", "document", b"PXR-USDC"),
    *named("Blender scene", "document", b"BLENDER"),
    *named("model of SketchUp", "document", b"\xff\xfe\xff\x0eS\0k\0"),
    *named("database of Access", "document", b"Standard Jet DB", b"Standard ACE DB", b"MSISAM Database", at=4),
    *named("database of Windows (ESE)", "document", _ESE, at=4, more=((8, b"\x20\6\0\0"),)),
    *named("database of Realm", "document", b"T-DB", at=16),
    *named("database of LMDB", "document", b"\xde\xc0\xef\xbe", at=16),
    *named("database of SQL Server", "document", b"\1\x0f\0\0", more=((14, b"\0\0"),)),
    *named("SQLite 2 database", "document", b"** This file contains an SQLite"),
    *named("table of Parquet", "document", b"PAR1", b"PARE"),
    *named("table of Arrow (Feather)", "document", b"ARROW1\0\0", b"FEA1"),
    *named("table of ORC", "document", b"ORC", at=-4, more=((0, b"ORC"),)),
    *named("table of Avro", "document", b"Obj\1"),
    *named("data of Matlab", "document", b"MATLAB 5.0 MAT-file"),
    *named("data of NetCDF", "document", b"CDF\1", b"CDF\2", b"CDF\5"),
    *named("capture of a network", "document", b"\xd4\xc3\xb2\xa1\2\0\4\0", b"\xa1\xb2\xc3\xd4\0\2\0\4"),
    *named("capture of a network", "document", b"\x4d\x3c\xb2\xa1\2\0\4\0", b"\xa1\xb2\x3c\x4d\0\2\0\4"),
    *named("capture of a network (PCAPNG)", "document", b"\x0a\x0d\x0d\x0a", more=((8, b"\x4d\x3c\x2b\x1a"),)),
    *named("capture of a network (PCAPNG)", "document", b"\x0a\x0d\x0d\x0a", more=((8, b"\x1a\x2b\x3c\x4d"),)),
    *named("memory of a machine (LiME)", "volume", b"EMiL\1\0\0\0"),
    *named("memory of a machine (VMware)", "volume", b"\xd2\xbe\xd2\xbe", b"\xd0\xbe\xd2\xbe", b"\xd1\xba\xd1\xba"),
    *named("HDF5 file", "document", b"\x89HDF\r\n\x1a\n"),
    *named("HDF4 file", "document", b"\x0e\x03\x13\x01"),
    *named("crash dump of Windows", "document", b"MDMP\x93\xa7", b"PAGEDUMP", b"PAGEDU64"),
)
VIDEOS: tuple[Signature, ...] = (
    *named("video of Bink", "video", b"BIKb", b"BIKf", b"BIKg", b"BIKh", b"BIKi", b"BIKk", b"KB2a", b"KB2g", b"KB2i"),
    *named("video of Smacker", "video", b"SMK2", b"SMK4"),
    *named("Nullsoft video (NSV)", "video", b"NSVf", b"NSVs"),
    *named("video of Windows Media Center (WTV)", "video", bytes.fromhex("b7d800203749da11a64e0007e95ead8d")),
    *named("video of Dahua (DAV)", "video", b"DHAV"),
    *named("video of Hikvision", "video", b"IMKH", b"HKMI"),
    *named("video of Genetec", "video", b"Genetec Omnicast"),
    *named("video of Blue Iris", "video", b"BLUE"),
    *named("video in frames (IVF)", "video", b"DKIF\0\0\x20\0"),
    *named("video, not packed (Y4M)", "video", b"YUV4MPEG2 "),
    *named("video of RED (R3D)", "video", b"RED1", b"RED2", at=4),
    *named("video of ARRI", "video", b"ARRI\x12\x34\x56\x78", b"ARRI\x78\x56\x34\x12"),
    *named("animation of Autodesk (FLI, FLC)", "video", b"\x11\xaf", b"\x12\xaf", at=4, more=((12, b"\x08\0"),)),
    *named("Dirac video", "video", b"BBCD\0"),
    *named("SGI video", "video", b"MOVI\0"),
    *named(
        "video, by no container (H.264)",
        "video",
        b"\0\0\0\1\x67",
        b"\0\0\0\1\x27",
        b"\0\0\0\1\x09\x10",
        b"\0\0\0\1\x09\xf0",
    ),
    *named("video, by no container (H.265)", "video", b"\0\0\0\1\x40\1\x0c", b"\0\0\0\1\x46\1\x10"),
    *named("disc of videos (IFO)", "video", b"DVDVIDEO-VMG", b"DVDVIDEO-VTS"),
)
