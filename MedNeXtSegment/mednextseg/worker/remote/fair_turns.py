"""Whose long run is next: one at a time on the server, and of those who wait whoever had a turn least recently."""

import asyncio


class FairTurns:
    """Turns between clients; used from one event loop."""

    def __init__(self) -> None:
        self._waiting: list[tuple[str, asyncio.Future[None]]] = []
        self._last_served: dict[str, int] = {}
        self._served = 0
        self._is_taken = False

    def ask(self, client: str) -> asyncio.Future[None]:
        """A future that is done when it is this client's turn, which ends with `give_back`. Cancel it to wait no more."""
        turn = asyncio.get_running_loop().create_future()
        self._waiting.append((client, turn))
        self._hand_on()
        return turn

    def give_back(self) -> None:
        """The turn is over: the next one's begins."""
        self._is_taken = False
        self._hand_on()

    def _hand_on(self) -> None:
        self._waiting = [(client, turn) for client, turn in self._waiting if not turn.cancelled()]
        if self._is_taken or not self._waiting:
            return
        chosen = min(self._waiting, key=lambda waiting: self._last_served.get(waiting[0], 0))
        self._waiting.remove(chosen)
        client, turn = chosen
        self._served += 1
        self._last_served[client] = self._served
        self._is_taken = True
        turn.set_result(None)
