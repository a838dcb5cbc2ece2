"""place: adds a city to an item."""

from examples.places.data import CITIES, COUNTRIES, STATES
from nodes.base import BlockingNode
from nodes.contract import NodeOutput


class Place(BlockingNode):
    identifier = "place"
    label = "Place"
    description = "Adds a city, its state and its country to an item."
    icon = "map-pin"
    category = "examples"
    form_class = "examples.places.place_forms.PlaceForm"

    async def execute(self, item: NodeOutput) -> NodeOutput:
        values = self.values
        country, state, city = values["country"], values["state"], values["city"]
        place = {"city": city, "state": STATES[country][state], "country": COUNTRIES[country]}
        if values["with_population"]:
            place[values["population_field"]] = CITIES[state][city]
        return item.with_data({**item.data, values["target"]: place})
