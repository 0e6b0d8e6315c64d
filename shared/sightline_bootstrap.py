"""placeholder"""


def pin(code_rev):
    return "" if code_rev == "image" else code_rev


def activate(code_rev):
    return code_rev
