"""Every guard of the protocol that can be taken out: what is done without it, and which row breaks where."""

from __future__ import annotations

from typing import NamedTuple


class Guard(NamedTuple):
    """`scenario` is the one in which the shortest violating order is looked for."""

    without: str
    rows: str
    scenario: str


GUARDS = {
    # a load, its lease and its fill
    "fill_is_cas": Guard("a fill stores whatever stands there now", "W1 W14", "b-two-deletes"),
    "write_new_mark": Guard("a write keeps the mark that it finds", "W14", "b-set"),
    "expire_new_mark": Guard("expire keeps the mark", "W1", "b-refresh-expire"),
    "version_guard": Guard("a fill of an older version is let through", "versioned fill", "b-versioned"),
    "side_lease": Guard("a refresh writes its lease into the entry", "copies dropped", "c-refresh"),
    "side_names_mark": Guard("the refresh lease does not name its mark", "needless wait", "b-refresh-expire"),
    "renew": Guard("a lease ends though its holder lives and loads", "one load", "b-renew"),
    "renew_compares": Guard("a renewal writes the lease again, whatever came between", "W1", "b-renew-delete"),
    # flights
    "flight_token": Guard("delete leaves the flight of its own process on the table", "W1 W6", "a-delete"),
    "close_before_proof": Guard("the flight stays open while its proof is under way", "W1 W2", "b-delete"),
    "joiners_retry": Guard("who joined takes the value though the fill was refused", "W1", "b-delete"),
    "joiners_judged": Guard("who joined takes the value without a look at the epochs", "W2", "b-tag"),
    "own_fallback": Guard("who joined takes the leader's stale value", "W12", "b-stale-if-error"),
    "error_settles": Guard("a failed load leaves those who joined it waiting", "liveness", "b-stale-if-error"),
    # endings and epochs
    "delete_removes": Guard("delete keeps the bytes as a fallback", "W12", "b-stale-if-error"),
    "tag_counts": Guard("a tag's delete leaves a fallback, as its expire does", "W12", "b-expire-tag"),
    "instant_at_start": Guard("the instant is taken when the load ends", "W2", "b-tag"),
    "set_begins_first": Guard("the instant of a write with tags is taken when it lands", "W2 W14", "b-set-tagged"),
    "one_counter": Guard("instants and epochs by each process's own clock", "W9", "b-tag"),
    "unforeseen_tags": Guard("a tag that was not foreseen is not looked up by a reader", "W2", "b-unforeseen"),
    "result_tags": Guard("a tag known only from the result is not looked up by the proof", "W2", "b-result-tags"),
    "generation": Guard("the generation is not compared", "W2 W16", "b-clear"),
    "lost_epoch_hides": Guard("a missing record counts as never ended", "W10", "b-epoch-lost"),
    "record_at_count": Guard("a missing record starts at zero, not at the present count", "W10", "b-result-tags-lost"),
    "seq_lost_is_clear": Guard("a lost counter starts again in the same generation", "W10", "b-counter-lost"),
    # copies near
    "far_to_near": Guard("the near tier is ended before the far one", "W3", "c-copy"),
    "ticket": Guard("a copy is kept though an ending was heard while it was on its way", "W3", "d-own-delete"),
    "confirm_in_order": Guard("a copy is kept as read from the pool, without a confirm on the link", "W3", "c-copy"),
    "confirm_registers": Guard("the reading connection is not the one that is told", "W4", "c-cold"),
    "confirm_compares": Guard("the confirm does not compare the mark", "W3", "c-copy-other"),
    # the link
    "permit": Guard("copies are served after the heartbeat lapsed", "W5", "c-cut"),
    "suspect_after_reconnect": Guard("copies are trusted again when the link is back", "W5", "c-cut"),
    "relink_tears_tickets": Guard("a ticket outlives the link under which it was taken", "W5", "d-cut"),
    "permit_from_ping": Guard("the permit runs from the receipt of the answer", "W5", "c-heartbeat"),
    "heartbeat_on_link": Guard("the heartbeat travels on another connection than the messages", "W5", "c-heartbeat"),
    "pong_behind_messages": Guard("a lapsed permit returns by an answer from elsewhere", "W5", "c-stall"),
    # the store is away, or forgot
    "outbox_first": Guard("the store is trusted before the outbox is delivered", "W6", "b-outbox"),
    "blind_ends": Guard("what was loaded while the store was away is served on when it is back", "W6", "c-blind"),
    "blind_age": Guard("a blind copy is served as long as the process is blind", "W15", "c-blind-age"),
    "deadline": Guard("a write may act after its caller gave up", "W14", "b-zombie-set"),
    "identity_check": Guard("a promoted replica is trusted as if it were the old server", "W16", "b-failover"),
}
