"""A package with one node, `place`: the worked example of docs/forms.md."""
