"""The prose of `docs/reputation.md`; the numbers beside it are measured by `page.py`."""

from typing import Final

OPENING: Final = """# What an operator sees: six simulated days

One instance, 24 hours from midnight, a new reputation (50, COLD), windows of 30 minutes: a healthy day,
and five days that are equal to it but for a fault from 12:00 on. Beside each stands what the reference
implementation would have said of the same facts. `make reputation` makes this page and its plots again,
from a fixed seed; a test fails while they differ from the code.

Nobody heeds the advice in these days: the dispatcher sends on during a cooldown, so that both judge the
same traffic. Every fact is reported once, so the reference is spared what it makes of repeats (rule quirk
Q11). The reference scores at each fact and once a minute; the sidecar scores each fact once, when its
window of 30 minutes ends, and judges cooldowns from the last 30 minutes (`docs/rules.md`,
`domain/fold.py`).

## How long until a fault shows

Minutes from 12:00 until the faulty day stands worse than the healthy day does at the same minute, looked
at once a minute. *At risk*: a HIGH or CRITICAL alert, a score below 40, or a cooldown."""

READING: Final = """## How often nothing is wrong and it says so

Every cooldown of the healthy day is a false one."""

ADVICE: Final = """The first table is the day of the plots, the second ten further healthy days.

## What to do

- **A cooldown began.** Stop campaigns on this number, keep answering people. Open the decision (`sidecar
  explain`, or the decision in the timeline page): it names the rule, the threshold, the number seen, and
  the messages behind it. The hour is a minimum; it ends by itself at the first moment after it at which
  no reason holds.
- **DELIVERY_DROP.** Most of what was sent in the last 30 minutes did not arrive. Look at the recipients
  (a bad list?) and at the phone (offline? blocked?) before anything else. Do not retry in bulk.
- **CONNECTION_INSTABILITY.** The phone or the gateway keeps dropping. Fix that first: sending between
  drops makes it worse. The connection shows in the instance list.
- **HIGH_DELIVERY_FAILURES with RATE_LIMIT_HIT in the timeline.** The gateway refuses. Slow down; no rule
  puts a number in cooldown for refusals alone, so the alert is the only sign: route it to somebody.
- **RAPID_SCORE_DROP, LOW_REPLY_RATE, a falling score.** Nobody answers. One such window is a campaign
  whose answers are still to come; several in a row mean that the texts or the list are wrong.
- **SEND_DELAY_SPIKE** comes only with `SIDECAR_LATENCY_RULES=on`. A few phones that were offline for an
  hour lift the mean of half an hour over its limit, as the last day shows from morning to evening. Leave
  the switch off unless your recipients are always online, and watch the latency in the dashboards
  instead.
- **SCORE_THRESHOLD.** The score fell below 30. Time alone does not heal it: replies do, or you: `DELETE
  .../cooldown` lifts the score to 50 and begins anew. Do that only when the cause is gone.
- **A short *at risk* in the first minutes of a campaign** is the price of judging early: answers come
  later than sends. It ends when they come; wait ten minutes before acting on it."""

CLOSING: Final = """## What these days do not show

They are made up: a shop with a campaign an hour and a reply to about every eighth message. A number with
few replies stands worse on both sides, and one that is silent at night stays where it was. Facts arrive
here when they are dated; late and repeated ones change nothing in the end (the tests of the fold hold
that), only when it is seen. The score of the reference moves with every look, so its plot would be
another one with another number of looks; that of the sidecar would not."""
