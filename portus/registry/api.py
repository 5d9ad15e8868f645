from django.http import HttpRequest
from ninja import Router

router = Router(tags=["health"])


@router.get("/_ping", response=int, summary="Tell that Portus answers")
def ping(request: HttpRequest) -> int:
    """Nothing is asked of the database: this is what start scripts and load balancers poll."""
    return 200
