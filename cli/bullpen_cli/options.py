"""Options that commands share: where Redis is, where the graph store is, in which form the answer comes."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from bullpen_cli import completing

RedisUrl = Annotated[
    str | None,
    typer.Option(
        envvar="BULLPEN_REDIS_URL",
        help="Redis of the queues. Default: the embedded one of the state folder, while it runs.",
        metavar="URL",
    ),
]
RedisCa = Annotated[
    Path | None, typer.Option(envvar="BULLPEN_REDIS_CA_FILE", help="Certificates to trust for rediss://.")
]
Prefix = Annotated[str, typer.Option(envvar="BULLPEN_PREFIX", help="What the keys of the queues begin with.")]
StateFolder = Annotated[
    Path, typer.Option("--state-folder", "--state", envvar="BULLPEN_STATE", help="State folder of `bullpen local`.")
]
AsJson = Annotated[bool, typer.Option("--json", help="Answer in JSON, for programs.")]

QueueName = Annotated[str, typer.Argument(help="Name of the queue.", autocompletion=completing.queue_names)]
JobId = Annotated[str, typer.Argument(help="Id of the job.", autocompletion=completing.job_ids)]

GraphUrl = Annotated[
    str | None,
    typer.Option(
        envvar="BULLPEN_GRAPH_URL",
        help="Repository with the results. Default: the embedded one of the state folder, while it runs.",
        metavar="URL",
    ),
]
GraphQueryUrl = Annotated[
    str | None,
    typer.Option(envvar="BULLPEN_GRAPH_QUERY_URL", help="Where it answers queries, if elsewhere.", metavar="URL"),
]
GraphUsername = Annotated[
    str | None, typer.Option(envvar="BULLPEN_GRAPH_USERNAME", help="Its user; the password: BULLPEN_GRAPH_PASSWORD.")
]
OntologyUrl = Annotated[
    str, typer.Option("--ontology", envvar="ONT_EX", help="Ontology of the findings, without its #.", metavar="URL")
]
