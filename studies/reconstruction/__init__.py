"""Many pictures to meshes: finding them, working through them with any number of workers, scores, table and report.

pictures ─▶ jobs ─▶ batch ─▶ engine (processes, or Ray) ─▶ worker: one picture ─▶ result.json
                                                                             │
                            report.html, metrics.csv, table ◀────────────────┘
"""
