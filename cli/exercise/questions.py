"""The questions of the exercise, what is right, why, and how an answer is read."""

from __future__ import annotations

import re
from dataclasses import dataclass

from imgmatch.lab.exercise import Roles


@dataclass(frozen=True, slots=True)
class Question:
    """A question. ``choices``: what can be chosen, by letters from a on; ``several``: more than one may be right.

    ``right`` is told, with ``why``, to whoever teaches; ``hint`` to whoever answers wrongly.
    """

    name: str
    text: str
    right: str
    why: str
    hint: str
    choices: tuple[str, ...] = ()
    several: bool = False

    def is_right(self, given: str) -> bool:
        """Whether an answer is right; case, marks, order and what stands behind a letter's bracket don't count."""
        return self._plain(given) == self._plain(self.right)

    def _plain(self, text: str) -> str | tuple[str, ...]:
        if self.name == "phones" or self.several:
            return tuple(sorted(set(re.findall(r"\w", re.sub(r"\b(?:tele)?phones?|\band\b", "", text.lower())))))
        words = re.findall(r"\w+", text.lower())
        if self.choices and re.match(r"\W*[a-z]\W*(?:[.):]|$)", text.lower()):
            return words[0]
        if self.name == "false hit":
            return re.sub(r"\.jpe?g$", "", text.strip().lower()).replace("\\", "/").rpartition("/")[2]
        return " ".join(words)


def questions(told: Roles) -> tuple[Question, ...]:
    """All questions, in their order."""
    asked, false = told.asked, told.false_hit.rpartition("/")[2]
    return (
        Question(
            "hotel",
            "In which hotel was queries/advertisement.jpg taken, most likely? Write its name as hotels.csv has it.",
            told.hotel,
            "It is first when the search is by label, and clearly so, though the tool calls none of it convincing. The "
            "room itself is not in the table: other rooms of its hotel are, with the same furniture, carpet and lamps.",
            "Search with --by label. Then look at the furniture, not at the order alone.",
        ),
        Question(
            "phones",
            "Two of the three telephones hold a photograph of one and the same room. Which two? Write two letters.",
            " ".join(told.phones),
            "The two photographs agree in about 30 points, in pictures on the wall too. No other pair of photographs "
            "on two telephones does.",
            "Search with the folder of one telephone after the other; then compare with explain, or on the page of "
            "review. Look at the pictures on the wall.",
        ),
        Question(
            "false hit",
            f"Search with {asked}. One photograph on the third telephone is found with “geometry agrees”, but shows "
            "another room. Which file is it?",
            false,
            "Geometry agrees in some 16 points, on the frames above the bed, the headboard and the lamps.",
            "Look only at matches that lie on the third telephone.",
        ),
        Question(
            "why",
            "Why is that hit false? Write one letter.",
            "b",
            "Three pictures hang above each bed, and they are not the same pictures. The points that agree lie on "
            "frames and furniture that every room of the hotel has. The table even shows the other room.",
            "Draw it with explain. Where do the points lie? What is different?",
            (
                "Its score is lower than 0.7.",
                "The pictures above the bed are different. What agrees are their frames and furniture, which every "
                "room of this hotel has.",
                "One of the two photographs is a mirror image.",
                "One of the two was taken by day, the other one at night.",
            ),
        ),
        Question(
            "not found",
            "Search with queries/second-advertisement.jpg. What do you report? Write one letter.",
            "c",
            f"The photograph is in fact of {told.untold}, which is in the table; but no search can tell this from a "
            "window. A search that finds nothing proves nothing.",
            "Read what the tool says first: how many leads are there? Then read what it does not say.",
            (
                "The room is in none of the four hotels.",
                "The first match is the most likely hotel, so it is reported as a lead.",
                "Nothing convincing was found. This does not show that the hotel is not in the table.",
            ),
        ),
        Question(
            "court",
            "Which of these sentences may an examiner say in court about the two photographs of one room? "
            "Write all letters.",
            "b d",
            "A score is not a probability, and “geometry agrees” is not “the same room”. An examiner says what he or "
            "she saw, what supports it and what speaks against it, and who else looked.",
            "A score is a lead, never a verdict. What did a person see?",
            (
                "The program is 67 per cent certain that this is the same room.",
                "The program put this photograph first. I compared the two photographs myself. These details agree: "
                "the three pictures on the wall, the lamps and the window. A second examiner came to the same result.",
                "Geometry agrees, so it is the same room.",
                "Both photographs can show the same room, and I found no detail that speaks against it. Other rooms of "
                "this hotel have the same furniture, so I did not count furniture.",
                "Nobody else has such a room, so the suspect was there.",
            ),
            several=True,
        ),
    )
