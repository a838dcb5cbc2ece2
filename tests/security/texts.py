"""S5: texts of items that hope to be rendered again."""

SECRET = "canary-5d1f"
"""In the environment and beside the item, never in the item."""

S5 = [
    "{{ 7*7 }}",
    "{{7*7}}",
    "{{ '7'*7 }}",
    "{{ data.secret }}",
    "{{ secrets }}",
    "{{ self }}",
    "{{ x }}",
    "{% raw %}",
    "{% endraw %}",
    "{% raw %}{{ 7*7 }}{% endraw %}",
    "{% if true %}49{% endif %}",
    "{% for x in range(49) %}{% endfor %}",
    "{% include 'x' %}",
    "{% set data = 49 %}",
    "{# gone #}",
    "{#",
    "{{",
    "}}",
    "{%",
    "}}{{ 7*7 }}{{",
    "' ~ 7*7 ~ '",
    "'}}{{ 7*7 }}",
    '" ~ data.secret ~ "',
    "\\u007b\\u007b 7*7 \\u007d\\u007d",
    "&#123;&#123; 7*7 &#125;&#125;",
    "{{ data.x }}",
    "{{ data['x'] }}",
    "{{ '{{ 7*7 }}' }}",
    "${7*7}",
    "%(secret)s",
    "{0.__class__}",
    "[1, 2]",
    "__import__('os')",
    "true",
]
"""Texts of items that hold template text, or what would be evaluated elsewhere."""

S5_TEMPLATES = {
    "{{ data.x }}": "%s",
    "a {{ data.x }}": "a %s",
    "{{ data.x }}{{ data.x }}": "%s%s",
    "{{ data.x ~ '' }}": "%s",
    "{{ data.x|string }}|": "%s|",
    "{{ [data.x]|join }}": "%s",
    "{{ data.x if true }};": "%s;",
    "{% if data.x %}{{ data.x }}{% endif %}": "%s",
    "{{ {'k': data.x}.k }}": "%s",
    "{{ data.nope|default(data.x) }}": "%s",
}
"""Ways in which a template passes such a text on, and what must come out."""
