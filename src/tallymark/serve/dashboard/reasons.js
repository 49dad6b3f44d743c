// What each reason of tallymark_rejected means, and what to do about it.

const REASONS = new Map([
  [
    "max_series",
    [
      "The metric has as many series as it may; new ones share the overflow series.",
      "Find the tag with too many values under Cardinality and drop it, or raise max_series.",
    ],
  ],
  ["value_too_long", ["A tag's value was too long, and was cut.", "Use short values, or raise max_value_length."]],
  [
    "negative",
    [
      "A counter or a duration was given a negative number.",
      "Count what goes down with a gauge; look for a clock that was set back.",
    ],
  ],
  ["not_finite", ["NaN or an infinity was recorded.", "Look for a division by zero where the number comes from."]],
  [
    "unreadable",
    ["What was given could not be read as a number.", "Give an int or a float; the log names the type, or the message."],
  ],
  ["unprintable", ["A tag's value could not be made text: its __str__ raised.", "Give text as the value of the tag."]],
  ["exemplar", ["An exemplar could not be kept; its record counts.", "Give short texts by key, 128 characters in all."]],
  [
    "exemplar_source",
    ["Registry(exemplars=…) failed.", "Let the function return a mapping, or None; the log has the exception."],
  ],
  ["exemplar_no_space", ["Shared memory has no room for an exemplar; its record counts.", "Raise Registry(shared_limit=…)."]],
  [
    "no_space",
    ["Shared memory is full; new series share the overflow series.", "Raise Registry(shared_limit=…), or free the disk."],
  ],
  [
    "unreachable",
    [
      "Shared memory could not be changed: a process that has its lock is stopped.",
      "Look for stopped or frozen processes of the service.",
    ],
  ],
  ["name_taken", ["Its name belongs to another metric, which keeps it.", "Rename one of the two."]],
  ["callback", ["The callback of a gauge failed: it has no value meanwhile.", "The log has the exception; mend the function."]],
  ["collector", ["A collector failed: its metrics are missing.", "The log has the exception; mend the collector."]],
  [
    "slow_collector",
    ["A collector was slow, and delayed the scrapes.", "Let it return what it knows, and ask elsewhere in a thread."],
  ],
  [
    "tags_failed",
    [
      "tags= of the HTTP integration failed: requests are recorded without them.",
      "The log has the exception; mend the function.",
    ],
  ],
  [
    "route_failed",
    [
      "route= of the HTTP integration failed: requests are recorded without a route.",
      "The log has the exception; mend the function.",
    ],
  ],
  [
    "unsupported_value",
    [
      "A backend cannot be told a value, such as NaN: it was left out.",
      "Look for where the value comes from, or exclude the metric.",
    ],
  ],
  [
    "name",
    [
      "A backend does not allow some characters of a name or tag: they were replaced.",
      "Rename it, or let its dashboards use the new name.",
    ],
  ],
  ["too_long", ["A series does not fit into a datagram, and was left out.", "Use fewer tags, or shorter ones."]],
  [
    "partial_success",
    ["An OTLP server took a report, but not all of its points.", "Its own words are in the log of the service."],
  ],
  [
    "queue",
    [
      "Series ended while a backend could not be reached: it was not told of their last numbers.",
      "See why it cannot be reached.",
    ],
  ],
]);
