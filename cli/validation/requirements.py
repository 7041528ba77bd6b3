"""What imgmatch must do, numbered, each with the reason for it. docs/validation shows them."""

from __future__ import annotations

from typing import NamedTuple


class Requirement(NamedTuple):
    """One requirement; ``number`` stays for good: a requirement that goes leaves its number unused."""

    number: str
    area: str
    text: str
    reason: str


_COURT = "An expert must be able to say that nothing was left out, and why what was left out was."
_UNALTERED = "Evidence that a tool has changed is worth nothing in court (ISO/IEC 27037, ACPO principle 1)."
_REPEAT = "Another examiner must be able to repeat the work with the same result (ISO/IEC 17025, 7.2)."
_LEAD = "A score is a lead. Who reads it must neither overrate nor miss it."
_PRIVATE = "The pictures show victims: who is not authorised may not see them, and nobody more than is needed."

REQUIREMENTS = (
    Requirement(
        "R1", "reading", "Every picture of a folder and its subfolders is found, whatever its name says.", _COURT
    ),
    Requirement("R2", "reading", "A file that can't be read is listed with the reason, and ends no run.", _COURT),
    Requirement("R3", "reading", "A damaged picture is read as far as it goes, and marked.", _COURT),
    Requirement("R4", "reading", "Pictures in archives and documents are found, and their place is named.", _COURT),
    Requirement(
        "R5", "reading", "Pictures on disk images are found, deleted ones too while their name is there.", _COURT
    ),
    Requirement("R6", "reading", "A picture is seen upright, whatever its orientation is stored as.", _LEAD),
    Requirement(
        "R7", "reading", "A format that is known and can't be read is named as such, not as 'no picture'.", _COURT
    ),
    Requirement("R8", "reading", "What is locked is named, and opened by a password that is given.", _COURT),
    Requirement("R9", "reading", "Names that are no text are kept and shown without harm.", _COURT),
    Requirement("R10", "custody", "No source is written, renamed or touched.", _UNALTERED),
    Requirement("R11", "custody", "Digests are those of the bytes, as other tools compute them.", _UNALTERED),
    Requirement("R12", "custody", "A source that has changed or gone since is found.", _UNALTERED),
    Requirement(
        "R13", "custody", "Each use of a case that shows evidence is recorded, with who, when and what.", _PRIVATE
    ),
    Requirement("R14", "custody", "A log that was altered or cut is found.", _UNALTERED),
    Requirement(
        "R15", "custody", "What an ingest read, found and skipped adds up, in a statement that shows changes.", _COURT
    ),
    Requirement("R16", "custody", "A run that was cut off goes on, and ends as one that was not.", _REPEAT),
    Requirement("R17", "search", "The same picture is found first, wherever it lies and whatever it is called.", _LEAD),
    Requirement(
        "R18", "search", "Altered copies (compressed, scaled, cropped, mirrored, drawn over) are found.", _LEAD
    ),
    Requirement("R19", "search", "Another photograph of the same room is found among the first.", _LEAD),
    Requirement("R20", "search", "The same files, weights and version give the same ranking.", _REPEAT),
    Requirement("R21", "search", "A filter leaves out what it names and nothing else.", _LEAD),
    Requirement("R22", "scores", "A picture that is not in the case is not called verified.", _LEAD),
    Requirement("R23", "scores", "A match is explained by a drawing of what agrees.", "Who decides must see why."),
    Requirement(
        "R24", "scores", "A stated false-match rate is what happens on other pictures of the same kind.", _LEAD
    ),
    Requirement("R25", "decisions", "A decision is kept with who, when and why, and shown with the match.", _COURT),
    Requirement("R26", "decisions", "What was rejected is not offered again, and is counted.", _LEAD),
    Requirement(
        "R27", "export", "A report holds all it shows, reaches for nothing outside, and blurs pictures.", _PRIVATE
    ),
    Requirement("R28", "export", "No exported cell can start a formula, no name a command of a terminal.", _PRIVATE),
    Requirement(
        "R29",
        "limits",
        "An archive that unpacks without end costs bounded time and memory, and is named.",
        "One file must not end a night's work.",
    ),
    Requirement(
        "R30",
        "limits",
        "A picture that claims an enormous size costs nothing, and is named.",
        "One file must not end a night's work.",
    ),
    Requirement(
        "R31", "limits", "Archives in archives are opened to a stated depth, and what lies deeper is named.", _COURT
    ),
    Requirement("R32", "security", "Nothing reaches for a network.", _PRIVATE),
    Requirement("R33", "security", "A case can be entered by its owner only.", _PRIVATE),
    Requirement(
        "R34",
        "security",
        "What decodes evidence reaches neither files nor network nor programs.",
        "Evidence may have been made to take over the examiner's machine.",
    ),
    Requirement("R35", "security", "Weights are those that were validated.", _REPEAT),
    Requirement("R36", "security", "What is deleted is not found any more, nor its name.", _PRIVATE),
)
