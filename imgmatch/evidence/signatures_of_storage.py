"""Signatures of volumes, disk images and archives (``imgmatch.evidence.signatures``).

What has none can't be told from chance and is in no table: VeraCrypt and TrueCrypt, plain dm-crypt, YAFFS2 but for its
usual first bytes, Brotli.
"""

from __future__ import annotations

from imgmatch.evidence.signature import Signature, named

_CIPHER = "(encrypted)"
_LVM2 = b"LVM2 001"
_RAID = b"\xfc\x4e\x2b\xa9"
_LHA = b"lh0 lh1 lh2 lh3 lh4 lh5 lh6 lh7 lhd lzs lz4 lz5 pm0 pm1 pm2".split()
_BITLOCKER_TO_GO = bytes.fromhex("3bd66749292ed84a8399f6a339e3d001")

VOLUMES: tuple[Signature, ...] = (
    *named("APFS container", "volume", b"NXSB", at=32),
    *named(f"LUKS volume {_CIPHER}", "volume", b"LUKS\xba\xbe\0\1", b"LUKS\xba\xbe\0\2"),
    *(sign for at in (0, 16384) for sign in named(f"LUKS volume {_CIPHER}", "volume", b"SKUL\xba\xbe\0\2", at=at)),
    *named(f"BitLocker volume {_CIPHER}", "volume", b"-FVE-FS-", at=3),
    *named(f"BitLocker To Go volume {_CIPHER}", "volume", _BITLOCKER_TO_GO, at=424),
    *named("CoreStorage volume (FileVault, as a rule encrypted)", "volume", b"\1\0\x10\0", at=8, more=((88, b"CS"),)),
    *named(f"disk image of macOS {_CIPHER}", "volume", b"encrcdsa"),
    *named(f"disk image of macOS {_CIPHER}", "volume", b"cdsaencr", at=-8),
    *named(f"GELI volume {_CIPHER}", "volume", b"GEOM::ELI", at=-512),
    *(
        sign
        for at in (0, 512, 1024, 1536)
        for sign in named("LVM2 physical volume", "volume", b"LABELONE", at=at, more=((at + 24, _LVM2),))
    ),
    *(
        sign
        for at, version in ((0, 1), (4096, 1), (-8192, 1), (-65536, 0))
        for sign in named("member of a Linux RAID", "volume", _RAID + bytes([version, 0, 0, 0]), at=at)
    ),
    *named("member of an Intel RAID", "volume", b"Intel Raid ISM Cfg Sig. ", at=-1024),
    *named("member of Windows Storage Spaces", "volume", b"SPACEDB ", at=4096),
    *named("dynamic disk of Windows", "volume", b"PRIVHEAD", at=3072),
    *named("Stratis volume", "volume", b"!Stra0tis\x86\xff\x02^\x41rh", at=516),
    *named("bcache device", "volume", bytes.fromhex("c68573f64e1a45ca8265f57f48ba6d81"), at=4120),
    *named("bcachefs file system", "volume", bytes.fromhex("c68573f666ce90a9d96a60cf803df7ef"), at=4120),
    *named("btrfs file system", "volume", b"_BHRfS_M", at=65600),
    *named("XFS file system", "volume", b"XFSB"),
    *named("F2FS file system", "volume", b"\x10\x20\xf5\xf2", at=1024),
    *named("ReFS file system", "volume", b"ReFS\0\0\0\0", at=3),
    *named("ZFS pool member", "volume", b"\0\0\0\7version\0", at=16404),
    *named("UFS file system", "volume", b"\x54\x19\x01\0", b"\0\x01\x19\x54", at=9564),
    *named("UFS2 file system", "volume", b"\x19\x01\x54\x19", b"\x19\x54\x01\x19", at=66908),
    *named("JFS file system", "volume", b"JFS1", at=32768),
    *named("ReiserFS file system", "volume", b"ReIsErFs", b"ReIsEr2Fs", b"ReIsEr3Fs", at=65588),
    *named("Reiser4 file system", "volume", b"ReIsEr4", at=65536),
    *named("NILFS2 file system", "volume", b"\x34\x34", at=1030, more=((1028, b"\0\0"), (1024, b"\2\0\0\0"))),
    *named("HPFS file system", "volume", b"\x49\xe8\x95\xf9\xc5\xe9\x53\xfa", at=8192),
    *named("HFS file system", "volume", b"BD", at=1024, more=((1038, b"\0\3"),)),
    *named("VMFS volume", "volume", b"\x0d\xd0\x01\xc0", at=1 << 20),
    *named("SquashFS file system", "volume", b"hsqs", b"sqsh"),
    *named("EROFS file system", "volume", b"\xe2\xe1\xf5\xe0", at=1024),
    *named("cramfs file system", "volume", b"\x45\x3d\xcd\x28", b"\x28\xcd\x3d\x45"),
    *named("romfs file system", "volume", b"-rom1fs-"),
    *named(
        "JFFS2 file system",
        "volume",
        b"\x85\x19\x03\x20",
        b"\x85\x19\x01\xe0",
        b"\x85\x19\x02\xe0",
        b"\x19\x85\x20\x03",
        b"\x19\x85\xe0\x01",
        b"\x19\x85\xe0\x02",
    ),
    *named("UBI image", "volume", b"UBI#\1"),
    *named("UBIFS file system", "volume", b"\x31\x18\x10\x06"),
    *named("YAFFS2 file system", "volume", b"\3\0\0\0\1\0\0\0\xff\xff\0\0"),
    *named("ISO 9660 file system", "volume", b"\1CD001\1", at=32768),
    *named("UDF file system", "volume", b"\0BEA01\1", at=32768),
    *named("Linux swap space", "volume", b"SWAPSPACE2", b"SWAP-SPACE", at=4086),
    *named("Linux hibernation image", "volume", b"S1SUSPEND\0", b"S2SUSPEND\0", at=4086),
    *named("Android sparse image", "volume", b"\x3a\xff\x26\xed\1\0"),
    *named("Android boot image", "volume", b"ANDROID!"),
    *named("AFF disk image", "volume", b"AFF10\r\n\0"),
    *named("VMDK of VMFS (COWD)", "volume", b"COWD\1\0\0\0"),
    *named("VMDK of VMFS 6 (SEsparse)", "volume", b"\xbe\xba\xfe\xca\0\0\0\0"),
    *named("AD1 image", "volume", b"ADSEGMENTEDFILE\0"),
    *named(f"AD1 image {_CIPHER}", "volume", b"ADCRYPT\0"),
    *named("logical image of EnCase (L01)", "volume", b"LVF\x09\r\n\xff\0"),
    *named("logical image of EnCase (Lx01)", "volume", b"LEF2\r\n\x81\0"),
    *named("Apple disk image (DMG)", "volume", b"koly\0\0\0\4\0\0\2\0", at=-512),
    *named("Apple sparse image", "volume", b"sprs\0\0\0"),
    *named("Windows image (WIM)", "volume", b"MSWIM\0\0\0"),
    *named("Parallels disk image", "volume", b"WithoutFreeSpace", b"WithouFreSpacExt"),
    *named("QED disk image", "volume", b"QED\0"),
    *named("Bochs disk image", "volume", b"Bochs Virtual HD Image"),
    *named("Partclone image", "volume", b"partclone-image"),
    *named("Acronis image", "volume", b"\xce\x24\xb9\xa2\x20\0\0\0"),
    *named("Norton Ghost image", "volume", b"\xfe\xef\x01\0", b"\xfe\xef\x01\1"),
)
ARCHIVES: tuple[Signature, ...] = (
    *named("RAR archive", "archive", b"Rar!\x1a\7\0", b"Rar!\x1a\7\1\0", b"RE\x7e\x5e"),
    *named("Windows cabinet (CAB)", "archive", b"MSCF\0\0\0\0"),
    *named("InstallShield cabinet", "archive", b"ISc("),
    *(sign for size in (30, 34) for sign in named("ARJ archive", "archive", b"\x60\xea", more=((4, bytes([size])),))),
    *named(
        "LHA archive",
        "archive",
        *(b"-" + method + b"-" for method in _LHA),
        at=2,
    ),
    *named("ACE archive", "archive", b"**ACE**", at=7),
    *named("StuffIt archive", "archive", b"rLau", at=10),
    *named("StuffIt archive", "archive", b"StuffIt (c)1997-", b"StuffIt!", b"StuffIt?"),
    *named("BinHex file", "archive", b"(This file must be converted with BinHex"),
    *named("Zoo archive", "archive", b"\xdc\xa7\xc4\xfd", at=20),
    *named("ALZip archive", "archive", b"ALZ\1\n\0\0\0"),
    *named("EGG archive", "archive", b"EGGA\0\1"),
    *named("ZPAQ archive", "archive", b"7kSt\xa07\x31\x83", b"zPQ\1\1", b"zPQ\2\1"),
    *named("xar archive", "archive", b"xar!\0\x1c"),
    *named("cpio archive", "archive", b"070701", b"070702", more=((94, b"0000"),)),
    *named("cpio archive", "archive", b"070707", more=((59, b"000"),)),
    *named("cpio archive", "archive", b"\xc7\x71", more=((20, b"\0\0"),)),
    *named("ar archive", "archive", b"!<arch>\n", b"!<thin>\n"),
    *named("RPM package", "archive", b"\xed\xab\xee\xdb"),
    *named("web archive (WARC)", "archive", b"WARC/0.", b"WARC/1."),
    *named("Zstandard file", "archive", b"\x28\xb5\x2f\xfd"),
    *named("LZ4 file", "archive", b"\x04\x22\x4d\x18", b"\x02\x21\x4c\x18"),
    *named("lzip file", "archive", b"LZIP\1"),
    *named("lzop file", "archive", b"\x89LZO\0\r\n\x1a\n"),
    *named("LZMA file", "archive", b"\x5d\0\0", more=((5, b"\xff\xff\xff\xff\xff\xff\xff\xff"),)),
    *named("compress file (.Z)", "archive", b"\x1f\x9d\x90", b"\x1f\x9d\x8c"),
    *named("Snappy file", "archive", b"\xff\x06\0\0sNaPpY"),
    *named(f"file of GnuPG {_CIPHER}", "archive", b"-----BEGIN PGP MESSAGE-----"),
    *named(f"file of OpenSSL {_CIPHER}", "archive", b"Salted__"),
    *named(f"age file {_CIPHER}", "archive", b"age-encryption.org/v1", b"-----BEGIN AGE ENCRYPTED FILE-----"),
    *named(f"AxCrypt file {_CIPHER}", "archive", bytes.fromhex("c0b9072e4f93f146a015792ca1d9e821")),
    *named(f"AES Crypt file {_CIPHER}", "archive", b"AES\1\0", b"AES\2\0", b"AES\3\0"),
)
