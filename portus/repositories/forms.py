from typing import Any

from django import forms

from portus.repositories.listing import ORDERS, Position


class PositionForm(forms.Form):
    """Reads the part of an address that says where in a list somebody is; what makes no sense is left out."""

    q = forms.CharField(required=False, max_length=255)
    sort = forms.ChoiceField(required=False, choices=[(name, name) for name in ORDERS])
    after = forms.CharField(required=False, max_length=400)
    before = forms.CharField(required=False, max_length=400)

    def position(self) -> Position:
        self.is_valid()
        found: dict[str, Any] = self.cleaned_data
        return Position(
            query=found.get("q", ""),
            sort=found.get("sort") or "name",
            after=found.get("after", ""),
            before=found.get("before", ""),
        )
