"""Fields that depend on others: any depth, several parents, shown or hidden."""

import pytest
from django import forms
from django.http import QueryDict

from forms.base import BaseForm
from forms.fields import LiteralField
from orchestrator.exceptions import NodeFailed

SHOPS = {("at", "food"): ["Graz"], ("at", "wine"): ["Wien", "Retz"], ("it", "wine"): ["Asti"]}


class ShopForm(BaseForm):
    """country and goods -> town -> street -> house."""

    template_fields = ("country", "goods")

    house = forms.ChoiceField(required=False)
    street = forms.ChoiceField(required=False)
    town = forms.ChoiceField()
    country = forms.ChoiceField(choices=[("at", "Austria"), ("it", "Italy")])
    goods = forms.ChoiceField(choices=[("food", "Food"), ("wine", "Wine")])

    def get_field_dependencies(self):
        return {"town": ["country", "goods"], "street": ["town"], "house": ["street", "goods"]}

    def populate_field(self, name, parent_value, form_values):
        if name == "town":
            assert set(form_values) == {"country", "goods"}
            assert form_values["country"] == parent_value
            return SHOPS.get((parent_value, form_values["goods"]), [])
        if name == "street":
            return [f"{parent_value} {number}" for number in (1, 2)]
        return [f"{parent_value} {form_values['goods']}"]


FULL = {
    "country": "at", "goods": "wine", "town": "Retz", "street": "Retz 2", "house": "Retz 2 wine",
}  # fmt: skip


def choices(form, name):
    return [value for value, _ in form.fields[name].choices]


def encoded(values):
    query = QueryDict(mutable=True)
    query.update(values)
    return query


@pytest.mark.parametrize(
    "form",
    [ShopForm(FULL), ShopForm(initial=FULL), ShopForm(encoded(FULL))],
    ids=["bound", "initial", "posted"],
)
def test_a_form_opened_with_saved_values_has_all_choices(form):
    assert choices(form, "town") == ["Wien", "Retz"]
    assert choices(form, "street") == ["Retz 1", "Retz 2"]
    assert choices(form, "house") == ["Retz 2 wine"]
    assert form.get_all_field_values() == {**FULL, "house": "Retz 2 wine"}
    if form.is_bound:
        assert form.errors == {}


@pytest.mark.parametrize("missing", ["country", "goods"])
@pytest.mark.parametrize("value", [None, "", "xx", ["at"], "{{ data.x }}"])
def test_choices_wait_until_every_parent_has_a_valid_value(missing, value):
    form = ShopForm({**FULL, missing: value})
    assert choices(form, "town") == choices(form, "street") == choices(form, "house") == []


@pytest.mark.parametrize(
    "make", [ShopForm, lambda v: ShopForm(initial=v), lambda v: ShopForm(encoded(v))]
)
def test_changing_any_parent_clears_and_refills_everything_below(make):
    form = make(FULL)
    changed = form.update_field("goods", "food")
    assert changed == {"town": [("Graz", "Graz")], "street": [], "house": []}
    values = form.get_all_field_values()
    assert [values[name] for name in ("town", "street", "house")] == [None, None, None]
    assert form.update_field("town", "Graz")["street"] == [
        ("Graz 1", "Graz 1"),
        ("Graz 2", "Graz 2"),
    ]
    form.update_field("street", "Graz 1")
    assert choices(form, "house") == ["Graz 1 food"]


def test_a_saved_value_that_is_no_choice_any_more_is_an_error_in_place():
    form = ShopForm({**FULL, "town": "Linz"})
    assert set(form.errors) == {"town", "street", "house"}
    assert form.get_field_value("town") == "Linz"
    assert "Linz" in form.errors["town"][0]
    with pytest.raises(NodeFailed, match="town: "):
        ShopForm.bind({**FULL, "town": "Linz"})


def test_a_cascade_of_templates_is_rendered_from_the_top():
    raw = {**FULL, "country": "{{ data.c }}", "goods": "{{ data.g }}"}
    bound = ShopForm.bind(raw)
    assert bound.render({"c": "at", "g": "wine"})["house"] == "Retz 2 wine"
    with pytest.raises(NodeFailed, match="town: "):
        bound.render({"c": "it", "g": "wine"})


class SourceForm(BaseForm):
    region = forms.ChoiceField()
    zones = forms.MultipleChoiceField(required=False)

    def get_field_dependencies(self):
        return {"region": [], "zones": ["region"]}

    def populate_field(self, name, parent_value, form_values):
        if name == "region":
            assert (parent_value, form_values) == (None, {})
            return ["eu", "us"]
        return [f"{parent_value}-{n}" for n in "ab"]


def test_a_field_without_parents_is_populated_too():
    assert choices(SourceForm(), "region") == ["eu", "us"]
    assert SourceForm.problems({"region": "eu", "zones": ["eu-a", "eu-b"]}) == []
    assert [name for name, _ in SourceForm.problems({"region": "xx"})] == ["region"]
    form = SourceForm(encoded({"region": "us", "zones": "us-a"}))
    assert form.errors == {}
    assert form.json_values["zones"] == ["us-a"]


class AccessForm(BaseForm):
    template_fields = ("auth",)
    visible_when = {
        "user": {"auth": ["basic"]},
        "password": {"auth": ["basic"], "ask": [False]},
        "attempts": {"password": ["secret", "other"]},
        "realm": {"user": ["ada"]},
    }

    auth = forms.ChoiceField(choices=[("none", "None"), ("basic", "Basic")], initial="none")
    ask = forms.BooleanField(required=False)
    user = forms.CharField(max_length=5)
    password = LiteralField()
    attempts = forms.IntegerField(min_value=1, initial=3)
    realm = forms.ChoiceField()

    def get_field_dependencies(self):
        return {"realm": ["user"]}

    def populate_field(self, name, parent_value, form_values):
        return [f"{parent_value}-realm"]

    def clean(self):
        values = super().clean()
        if values.get("password") and values["password"] == values.get("user"):
            raise forms.ValidationError("too easy")
        return values


BASIC = {"auth": "basic", "ask": False, "user": "bob", "password": "secret"}


def shown(values):
    form = AccessForm(values)
    return {name for name in form.fields if form.is_visible(name)}


def test_a_field_is_shown_when_all_its_conditions_hold():
    assert shown({}) == {"auth", "ask"}
    assert shown({"auth": "basic"}) == {"auth", "ask", "user", "password"}
    assert shown({"auth": "basic", "ask": True}) == {"auth", "ask", "user"}
    assert shown(BASIC) == {"auth", "ask", "user", "password", "attempts"}
    assert shown({**BASIC, "user": "ada"}) == set(AccessForm.base_fields)
    assert shown({**BASIC, "auth": "wrong"}) == {"auth", "ask"}


def test_what_is_below_a_hidden_field_is_hidden():
    assert shown({**BASIC, "auth": "none"}) == {"auth", "ask"}
    assert shown({**BASIC, "ask": True}) == {"auth", "ask", "user"}


def test_a_hidden_field_is_not_required_checked_or_rendered_and_its_value_is_empty():
    hidden = {"user": "far too long {{ nothing.valid(", "password": 5, "attempts": -7, "realm": []}
    bound = AccessForm.bind({"auth": "none", **hidden})
    assert not bound.templated
    assert bound.static_values == {
        "auth": "none", "ask": False, "user": "", "password": "", "attempts": None, "realm": "",
    }  # fmt: skip


def test_a_field_that_is_shown_is_required_and_checked():
    found = dict(AccessForm.problems({"auth": "basic", "user": "far too long"}))
    assert set(found) == {"user", "password"}
    assert AccessForm.problems({**BASIC, "user": "secret"[:5], "password": "secre"}) == [
        ("__all__", "too easy")
    ]


def test_changing_a_value_shows_and_hides_and_keeps_what_was_typed():
    form = AccessForm({**BASIC, "user": "ada"})
    assert form.is_visible("realm")
    form.update_field("auth", "none")
    assert not form.is_visible("user") and not form.is_visible("realm")
    assert form.get_field_value("password") == "secret"
    form.update_field("auth", "basic")
    assert form.is_visible("realm")
    assert choices(form, "realm") == ["ada-realm"]


def test_an_item_decides_what_is_shown_when_the_parent_is_a_template():
    raw = {**BASIC, "auth": "{{ data.auth }}", "user": "{{ data.user }}"}
    assert AccessForm.problems(raw) == []
    bound = AccessForm.bind({**raw, "realm": "ada-realm"})
    given = bound.render({"auth": "basic", "user": "ada"})
    assert (given["user"], given["password"], given["realm"]) == ("ada", "secret", "ada-realm")
    # The template of a hidden field is not rendered: `data.user` is missing.
    hidden = bound.render({"auth": "none"})
    assert (hidden["user"], hidden["password"], hidden["realm"]) == ("", "", "")
    assert bound.render({"auth": "basic", "user": "bob"})["realm"] == ""
    with pytest.raises(NodeFailed, match="user: "):
        bound.render({"auth": "basic", "user": "far too long"})


def test_fields_that_depend_on_each_other_are_a_problem_that_names_the_form():
    class RoundForm(BaseForm):
        a = forms.ChoiceField()
        b = forms.ChoiceField()

        def get_field_dependencies(self):
            return {"a": ["b"], "b": ["a"]}

    ((name, message),) = RoundForm.problems({"a": 1})
    assert name == "__all__"
    assert "RoundForm failed: CycleError" in message
