"""Pages for people: pictures of the results as RGB arrays, "Research use only" burned in.

No file, no window, no global state: each function draws one page and returns its pixels.
"""

from node.pictures.page import text_page

__all__ = ["text_page"]
