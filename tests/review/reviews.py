"""A review that runs in this process, and browsers that visit it over real HTTP."""

from __future__ import annotations

import threading
from pathlib import Path

from projects import Project
from visits import Visitor

from spritebuild import approve
from spritebuild.approve import Choice
from spritebuild.review.routes import Routes
from spritebuild.review.server import Server
from spritebuild.review.session import Session
from spritebuild.status import Status

HOSTILE = "<script>alert(1)</script>\n::error::\u202e../../etc/passwd"
POTION, SHEET = "assets/potion.png", "assets/items*"


class Review:
    """A review that runs in threads of this process."""

    def __init__(self, session: Session, page: Path) -> None:
        self.session = session
        self.server = Server(Routes(session, page))
        self.thread = threading.Thread(target=self.server.serve_forever, kwargs={"poll_interval": 0.01})
        self.thread.start()
        self.visitors: list[Visitor] = []

    def stranger(self) -> Visitor:
        """Somebody without a cookie."""
        self.visitors.append(Visitor(self.server.server_port))
        return self.visitors[-1]

    def visit(self) -> Visitor:
        visitor = self.stranger()
        assert visitor.open(self.server.address()).status == 303
        return visitor

    def end(self) -> None:
        for visitor in self.visitors:
            visitor.connection.close()
        self.server.shutdown()
        self.thread.join()
        self.server.server_close()
        self.session.close()


def approve_all(project: Project) -> None:
    """Make everything as it is the baseline."""
    choices = [Choice(path, entry.digest, "approve") for path, entry in project.lock().items()]
    approve.approve(project.path, choices, Status())
