"""Where commands print for people: text appears as it is."""

from typing import IO

from rich.console import Console


class Terminal(Console):
    """Rich's console without what it reads into text: hosts and users write `[red]` and `:key:` without meaning a colour or a picture.

    Rich 15 has markup, emoji codes and highlighting on by itself (https://rich.readthedocs.io/en/stable/markup.html); what is to have a
    style is given one, or is a `rich.text.Text`.
    """

    def __init__(
        self, *, stderr: bool = False, file: IO[str] | None = None, width: int | None = None, force_terminal: bool | None = None
    ) -> None:
        super().__init__(stderr=stderr, file=file, width=width, force_terminal=force_terminal, markup=False, emoji=False, highlight=False)
