"""Novel views of one picture by two stages of sampling (Sec. 3.6), in either host."""
