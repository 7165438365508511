"""How deep a pickle nests what it makes, told from its opcodes, before anything is made of it.

Python hashes a tuple in a tuple in a tuple .. by recursion in C: 100,000 of them as a dictionary's key end the process.
The extension has this very file too, since it runs without this runtime.
"""

import pickletools
from typing import Any

DEEPEST = 200  # containers in containers; checkpoints have some ten
IN_PLACE = {"APPEND", "APPENDS", "SETITEM", "SETITEMS", "ADDITEMS", "BUILD"}


def nests_too_deep(content: bytes) -> bool:
    """Raises ValueError, IndexError or KeyError for what is no pickle."""
    stack: list[int] = []  # how deep each thing on the pickle's own stack is
    marks: list[int] = []  # where the stack was when a container was opened
    memo: dict[Any, int] = {}
    for opcode, argument, _ in pickletools.genops(content):
        if opcode.name == "MARK":
            marks.append(len(stack))
        elif opcode.name.endswith(("PUT", "MEMOIZE")):
            memo[len(memo) if argument is None else argument] = stack[-1]
        elif opcode.name.endswith("GET"):
            stack.append(memo[argument])
        else:
            stack += _made(opcode, _taken(opcode, stack, marks))
        if len(marks) > DEEPEST or (stack and stack[-1] > DEEPEST):
            return True
    return False


def _taken(opcode: pickletools.OpcodeInfo, stack: list[int], marks: list[int]) -> list[int]:
    """Off the stack; all that lies above a mark, if the opcode closes what was opened there."""
    before = opcode.stack_before
    if pickletools.markobject in before:
        start = marks.pop() - before.index(pickletools.markobject)
    elif opcode.name == "POP" and marks and marks[-1] == len(stack):
        start = marks.pop()
    else:
        start = len(stack) - len(before)
    if start < 0:
        raise IndexError(f"{opcode.name} takes more than there is")
    taken = stack[start:]
    del stack[start:]
    return taken


def _made(opcode: pickletools.OpcodeInfo, taken: list[int]) -> list[int]:
    if opcode.name in IN_PLACE:
        return [max(taken[0], 1 + max(taken[1:], default=0))]
    return [1 + max(taken, default=0)] * len(opcode.stack_after)
