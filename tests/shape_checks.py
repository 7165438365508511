"""The type checker behind jaxtyping's import hook."""

from beartype import BeartypeConf, beartype

# An int is a fine value for a parameter annotated as float (PEP 484).
check = beartype(conf=BeartypeConf(is_pep484_tower=True))
