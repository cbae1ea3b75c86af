/*
 * Completion of commands, guests, vCPUs, policies and knobs.
 *
 * The words before the cursor's decide what may come next; each candidate that
 * begins as the cursor's word does is offered. Nothing is stored: the caller
 * counts, finds what all have in common, or prints. Quotes are not looked into;
 * no name that completes needs them.
 */
#include "kernel/shell/cmd.h"

#include "kernel/guest.h"
#include "kernel/lab.h"
#include "kernel/sched/sched.h"

#include <stdio.h>
#include <string.h>

struct completer {
	const char *word; /* what is typed of the last word */
	size_t typed;
	void (*offer)(void *ctx, const char *text, size_t typed, bool space);
	void *ctx;
	bool live_only;
};

static void propose(struct completer *c, const char *text, bool space)
{
	if (strncmp(text, c->word, c->typed) == 0)
		c->offer(c->ctx, text, c->typed, space);
}

static void propose_guests(struct completer *c)
{
	for (struct guest *g = NULL; (g = guest_next(g)) != NULL;)
		propose(c, g->cfg.name, true);
}

static void propose_vcpus(struct completer *c)
{
	const char *colon = memchr(c->word, ':', c->typed);
	struct guest *g = NULL;
	char text[160];

	while ((g = guest_next(g)) != NULL) {
		snprintf(text, sizeof(text), "%s:", g->cfg.name);
		if (!colon) {
			propose(c, text, false);
			continue;
		}
		if (strncmp(text, c->word, strlen(text)) != 0)
			continue;
		for (u32 i = 0; i < g->cfg.vcpus; i++) {
			snprintf(text, sizeof(text), "%s:%u", g->cfg.name,
				 (unsigned int)i);
			propose(c, text, true);
		}
	}
}

static void propose_knob(void *arg, const char *name, bool live,
			 const char *takes)
{
	struct completer *c = arg;
	char text[80];

	if (c->live_only && !live)
		return;
	snprintf(text, sizeof(text), "%s=", name);
	propose(c, text, false);
}

static void propose_policies(struct completer *c)
{
	const char *name;

	for (u32 i = 0; (name = sched_policy_list(i)) != NULL; i++)
		propose(c, name, true);
}

/* The words of "all|off". */
static void propose_words(struct completer *c, const char *words)
{
	char text[32];

	while (*words) {
		size_t n = strcspn(words, "|");

		snprintf(text, sizeof(text), "%.*s", (int)n, words);
		propose(c, text, true);
		words += n + (words[n] == '|');
	}
}

/* First words, or the verbs of a noun. */
static void propose_names(struct completer *c, const char *noun)
{
	const char *last = "";

	for (const struct cmd *r = NULL; (r = cmd_after(r)) != NULL;) {
		if (!noun && strcmp(r->noun, last) != 0)
			propose(c, r->noun, true);
		else if (noun && r->verb && strcmp(r->noun, noun) == 0)
			propose(c, r->verb, true);
		last = r->noun;
	}
}

static void propose_arg(struct completer *c, const struct cmd *r, u32 index)
{
	if (index >= r->max)
		return;
	if (r->words && !index)
		propose_words(c, r->words);
	switch (r->arg[MIN(index, 1u)]) {
	case ARG_GUEST:
		propose_guests(c);
		break;
	case ARG_VCPU:
		propose_vcpus(c);
		break;
	case ARG_POLICY:
		propose_policies(c);
		break;
	case ARG_LIVE_KNOB:
	case ARG_KNOB:
		c->live_only = r->arg[MIN(index, 1u)] == ARG_LIVE_KNOB;
		for (u32 n = 0; lab_knob_nth(n, propose_knob, c);)
			n++;
		break;
	case ARG_COMMAND:
		propose_names(c, NULL);
		break;
	case ARG_WORD:
	case ARG_NONE:
		break;
	}
}

/* The next word of [*s, end): its start and length; 0: none. */
static size_t next_word(const char **s, const char *end)
{
	const char *w;

	while (*s < end && **s == ' ')
		(*s)++;
	for (w = *s; w < end && *w != ' '; w++)
		;
	return (size_t)(w - *s);
}

static const struct cmd *row_of(const char *noun, size_t noun_len,
				const char *verb, size_t verb_len)
{
	for (const struct cmd *r = NULL; (r = cmd_after(r)) != NULL;) {
		if (strlen(r->noun) != noun_len ||
		    strncmp(r->noun, noun, noun_len) != 0)
			continue;
		if (!r->verb || (strlen(r->verb) == verb_len &&
				 strncmp(r->verb, verb, verb_len) == 0))
			return r;
	}
	return NULL;
}

void cmd_complete(const char *line, size_t len,
		  void (*offer)(void *ctx, const char *text, size_t typed,
				bool space),
		  void *ctx)
{
	struct completer c = {.offer = offer, .ctx = ctx};
	const char *end = line + len, *word = end, *s, *w[2] = {"", ""};
	size_t n, wlen[2] = {0, 0};
	const struct cmd *row;
	u32 count = 0;
	char noun[32];

	while (word > line && word[-1] != ' ' && word[-1] != ';')
		word--;
	for (s = word; s > line && s[-1] != ';'; s--)
		;
	c.word = word;
	c.typed = (size_t)(end - word);
	for (; (n = next_word(&s, word)) != 0; s += n) {
		if (*s == '-')
			continue;
		if (count < 2) {
			w[count] = s;
			wlen[count] = n;
		}
		count++;
	}
	if (!count) {
		propose_names(&c, NULL);
		return;
	}
	row = row_of(w[0], wlen[0], w[1], wlen[1]);
	if (row)
		propose_arg(&c, row, count - (row->verb ? 2 : 1));
	/* A noun that does without a verb may have verbs as well. */
	snprintf(noun, sizeof(noun), "%.*s", (int)wlen[0], w[0]);
	if (count == 1)
		propose_names(&c, noun);
}
