"""The form of place."""

from collections.abc import Mapping
from typing import Any, ClassVar

from django import forms

from examples.places.data import CITIES, COUNTRIES, LARGE, STATES
from forms.base import BaseForm
from forms.fields import LiteralField


class PlaceForm(BaseForm):
    visible_when: ClassVar[Mapping[str, Mapping[str, list[Any]]]] = {
        "population_field": {"with_population": [True]}
    }

    country = forms.ChoiceField()
    state = forms.ChoiceField()
    size = forms.ChoiceField(choices=[("small", "small"), ("large", "large")], initial="large")
    city = forms.ChoiceField(help_text="Of this state, and of this size.")
    target = LiteralField(initial="place", max_length=200, help_text="The field for the place.")
    with_population = forms.BooleanField(required=False, label="Add the population")
    population_field = LiteralField(initial="population", max_length=200)

    def get_field_dependencies(self) -> dict[str, list[str]]:
        return {"country": [], "state": ["country"], "city": ["state", "size"]}

    async def populate_field(
        self, name: str, parent_value: Any, form_values: Mapping[str, Any]
    ) -> list[Any]:
        if name == "country":
            return list(COUNTRIES.items())
        if name == "state":
            return list(STATES[parent_value].items())
        large = form_values["size"] == "large"
        return [
            city
            for city, people in CITIES[form_values["state"]].items()
            if (people >= LARGE) is large
        ]
