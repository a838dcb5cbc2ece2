"""What a browser would send back of a form in a page."""

from html.parser import HTMLParser


class Form(HTMLParser):
    """The successful controls of the form with an id, as (name, value) pairs in `controls`.

    rest: the text of the page outside of tags.
    """

    def __init__(self, page, form_id):
        super().__init__()
        self.form_id, self.inside = form_id, False
        self.controls, self.rest = [], []
        self._area = self._list = None
        self.feed(page)

    def handle_starttag(self, tag, attrs):
        attrs = dict(attrs)
        if tag == "form":
            self.inside = attrs.get("id") == self.form_id
        if not self.inside:
            return
        if tag == "input":
            self._input(attrs)
        elif tag == "textarea":
            self._area = (attrs["name"], [])
        elif tag == "select":
            self._list = (attrs["name"], [])
        elif tag == "option" and self._list is not None:  # a datalist only offers
            self._list[1].append(("selected" in attrs, attrs["value"]))

    def _input(self, attrs):
        box = attrs.get("type") == "checkbox"
        if "name" in attrs and (not box or "checked" in attrs):
            self.controls.append((attrs["name"], attrs.get("value", "on" if box else "")))

    def handle_data(self, data):
        if self._area is not None:
            self._area[1].append(data)
        else:
            self.rest.append(data)

    def handle_endtag(self, tag):
        if tag == "form":
            self.inside = False
        elif tag == "textarea" and self._area is not None:
            name, parts = self._area
            text = "".join(parts).removeprefix("\n").replace("\n", "\r\n")
            self.controls.append((name, text))
            self._area = None
        elif tag == "select" and self._list is not None:
            name, options = self._list
            chosen = [value for selected, value in options if selected] or [options[0][1]]
            self.controls.append((name, chosen[0]))
            self._list = None

    def data(self, **changes):
        """Return what is posted, with some controls changed; a list is several of one name."""
        found = {}
        for name, value in self.controls:
            found.setdefault(name, []).append(value)
        for name, value in changes.items():
            found[f"form-{name}"] = value if isinstance(value, list) else [value]
        return found

    @property
    def text(self):
        return " ".join(" ".join(self.rest).split())
