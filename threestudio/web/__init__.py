"""The page and its server: pictures become jobs, jobs wait for each other, each is a run in a process of its own.

jobs.py       what a job is, and its folder
queue.py      who works on which
progress.py   how far a run has come, from what it says
results.py    what a finished run has made
api.py        all this over HTTP, behind access.py and limits.py
page.py       all this in a browser
"""
