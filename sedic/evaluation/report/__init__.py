"""The report: one page that needs nothing beside it, and the same tables as Markdown.

``page`` holds what a report is made of, ``sections`` makes it of what was measured, ``plots`` draws, ``html`` and
``markdown`` write.
"""
