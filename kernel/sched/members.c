/*
 * Guests and vCPUs come, ask and go: the core's face to the guest manager.
 *
 * Everything here runs on any CPU and changes nothing that an owner owns: it
 * leaves wishes and sends mail. One lock guards the list of accounts, which a
 * change of policy walks; another what a vCPU that is off was promised. No
 * wake, turn or switch meets either.
 */
#include "kernel/log.h"
#include "kernel/mem.h"
#include "kernel/sched/private.h"

/* A CPU gets no more of them at once, and to tell them is a step: to a KILL
 * belongs a vCPU's whole end, to any other that it is queued anew. */
#define REQUESTS_AT_ONCE 32

/* Is there a CPU of this machine in the set? */
static bool names_a_cpu(const struct cpuset *s)
{
	return cpuset_next(s, 0) < cpu_count();
}

static int allowed_find(const struct guest *g, u32 id, struct cpuset *out)
{
	const struct guest_config *cfg = &g->cfg;

	*out = (struct cpuset){ { 0 } };
	for (u32 i = 0; i < cpu_count(); i++) {
		if (!cfg->has_affinity || cpuset_has(&cfg->affinity, i))
			cpuset_add(out, i);
	}
	if (cfg->pin) {
		bool inside = cpuset_has(out, cfg->pin[id]);

		*out = (struct cpuset){ { 0 } };
		if (inside)
			cpuset_add(out, cfg->pin[id]);
	}
	if (names_a_cpu(out))
		return 0;
	log_error("%s: vcpu %u: may run on none of this machine's %u CPUs",
		  cfg->name, id, cpu_count());
	return -EINVAL;
}

/* An OFF vCPU waits on the CPU of its own, spread over those it may use. */
static u32 home_find(const struct guest *g, u32 id, const struct cpuset *set)
{
	u32 cpu = cpuset_next(set, (g->id + id) % cpu_count());

	return cpu < cpu_count() ? cpu : cpuset_next(set, 0);
}

int sched_vcpu_add(struct vcpu *v)
{
	struct guest *g = v->guest;
	struct sched_unit *u = &v->sched;
	int ret;

	*u = (struct sched_unit){ .account = g->account, .target = CPU_NONE,
				  .trace_id = TRACE_NOBODY,
				  .runstate = RUNSTATE_OFFLINE,
				  .since_ticks = MAX(time_now_ticks(), 1u) };
	ret = allowed_find(g, v->id, &u->allowed);
	if (ret)
		return ret;
	u->part = obj_alloc(sched_pool.unit_bytes);
	if (!u->part)
		return -ENOMEM;
	timer_init(&u->timer, vcpu_timer_fire);
	if (g->cfg.wfi == WFI_POLL)
		u->poll_ticks = us_to_ticks(g->cfg.wfi_poll_us);
	v->state = VCPU_OFF;
	v->cpu = cpu_by_index(home_find(g, v->id, &u->allowed));
	mbox_node_init(&v->mail, vcpu_look);
	u->home = v->cpu->sched;
	return 0;
}

void sched_vcpu_remove(struct vcpu *v)
{
	obj_free(v->sched.part);
	v->sched.part = NULL;
}

static void account_insert(struct sched_account *a)
{
	struct sched_pool *p = &sched_pool;

	ck_spinlock_lock(&p->lock);
	a->next = p->accounts;
	p->accounts = a;
	if (p->ops->guest_init)
		p->ops->guest_init(a, time_now_ticks());
	ck_spinlock_unlock(&p->lock);
}

static void account_remove(struct sched_account *a)
{
	struct sched_pool *p = &sched_pool;
	struct sched_account **link;

	ck_spinlock_lock(&p->lock);
	for (link = &p->accounts; *link; link = &(*link)->next) {
		if (*link == a) {
			*link = a->next;
			break;
		}
	}
	ck_spinlock_unlock(&p->lock);
}

int sched_guest_add(struct guest *g)
{
	struct sched_account *a;

	a = obj_alloc(sizeof(*a) + sched_pool.guest_bytes);
	if (!a)
		return -ENOMEM;
	a->guest = g;
	account_knobs(a, &g->cfg.sched);
	account_insert(a);
	g->account = a;
	return 0;
}

void sched_guest_remove(struct guest *g)
{
	account_remove(g->account);
	obj_free(g->account);
	g->account = NULL;
}

void sched_vcpu_request(struct vcpu *v, u32 requests)
{
	/* The last word counts. */
	if (requests & VCPU_REQ_PAUSE)
		ck_pr_and_32(&v->requests, ~VCPU_REQ_RESUME);
	if (requests & VCPU_REQ_RESUME)
		ck_pr_and_32(&v->requests, ~VCPU_REQ_PAUSE);
	/* What the request is about (registers, knobs) comes before it. Pairs
	 * with requests_do's swap and acquire. */
	ck_pr_fence_release();
	ck_pr_or_32(&v->requests, requests);
	/* The post's release keeps the bits before the mail. */
	doorbell_post(vcpu_cpu(v), &v->mail, 0);
}

/* There is no room for one that is to be started: is that to be said, and how
 * many were not told of? With the lock. Once of a vCPU, until it has started;
 * and at a pace, since vCPUs of a guest may start in each other's place. */
static bool refusal_tell(struct sched_unit *u, u32 *untold)
{
	struct sched_account *a = u->account;

	if (u->said)
		return false;
	u->said = true;
	if (!log_pace_take(&a->refusals, time_now_ticks())) {
		a->untold++;
		return false;
	}
	*untold = a->untold;
	a->untold = 0;
	return true;
}

/* Has the policy room for one that is to be started? */
static bool promise_get(const struct sched_ops *ops, struct vcpu *v, u32 epoch)
{
	struct sched_unit *u = &v->sched;
	bool room = true, say = false;
	u32 untold = 0;

	ck_spinlock_lock(&sched_pool.promises);
	/* Of one that is on it's the owner's. */
	if (ck_pr_load_32(&v->state) == VCPU_OFF) {
		room = ops->admit(u);
		if (room)
			u->admitted = epoch;
		else
			say = refusal_tell(u, &untold);
	}
	ck_spinlock_unlock(&sched_pool.promises);
	if (untold)
		log_error("%s: %u more were not started, of which nothing was "
			  "told", v->guest->cfg.name, untold);
	if (say)
		log_error("%s: vcpu %u not started: "
			  "policy %s has no CPU left for it",
			  v->guest->cfg.name, v->id, ops->name);
	return room;
}

int sched_vcpu_start(struct vcpu *v)
{
	const struct sched_ops *ops;
	u32 epoch = ck_pr_load_32(&sched_pool.epoch);

	/* If the policy changes in between, the epoch tells, and the owner
	 * asks the new policy. */
	ck_pr_fence_load();
	ops = ck_pr_load_ptr(&sched_pool.ops);
	/* While it changes the owner asks: parts of CPUs may be no policy's.
	 * A CPU that has left the old one sees `changing`. */
	if (ops->admit && !ck_pr_load_32(&sched_pool.changing) &&
	    !promise_get(ops, v, epoch))
		return -EBUSY;
	sched_vcpu_request(v, VCPU_REQ_START);
	return 0;
}

/* Of some of a guest's vCPUs, from `from` on; returns the next. */
static u32 request_some(struct guest *g, u32 from, u32 requests)
{
	u32 until = MIN(from + REQUESTS_AT_ONCE, g->cfg.vcpus);

	for (; from < until; from++)
		sched_vcpu_request(g->vcpu[from], requests);
	return from;
}

u32 sched_guest_kill(struct guest *g, u32 from)
{
	if (!from)
		ck_pr_store_32(&g->account->kills_due, g->cfg.vcpus);
	return request_some(g, from, VCPU_REQ_KILL | REQ_COUNTED);
}

bool sched_guest_killed(const struct guest *g)
{
	bool killed = ck_pr_load_32(&g->account->kills_due) == 0;

	/* What the owners did before their acknowledgement is seen. */
	ck_pr_fence_acquire();
	return killed;
}

u32 sched_guest_params(struct guest *g, const struct sched_params *p, u32 from)
{
	if (!from)
		account_knobs(g->account, p);
	return request_some(g, from, VCPU_REQ_PARAMS);
}

u32 sched_guest_follow(struct guest *g, u32 from)
{
	return request_some(g, from, VCPU_REQ_FOLLOW);
}

int sched_vcpu_affinity(struct vcpu *v, const struct cpuset *allowed)
{
	if (!names_a_cpu(allowed))
		return -EINVAL;
	/* Word by word: a mixture names only CPUs of the old or the new set,
	 * and the request makes the owner look again. */
	for (u32 i = 0; i < CPU_MAX / 64; i++)
		ck_pr_store_64(&v->sched.allowed.w[i], allowed->w[i]);
	sched_vcpu_request(v, VCPU_REQ_MOVE);
	return 0;
}

static u64 since_then(const u64 *since, u64 now)
{
	u64 then = ck_pr_load_64(since);

	return then && now > then ? now - then : 0;
}

/* The counters as they are, and the time of what is on: who is alone may run,
 * and a CPU may wait, for minutes. */
static u64 stats_read(u32 cpu, struct cpu_stats *out)
{
	struct cpu *c = cpu_by_index(cpu);
	const struct sched_core *core = core_of(c);
	const u64 *from = (const u64 *)(const void *)&c->stats;
	u64 *to = (u64 *)(void *)out, now = time_now_ticks();

	for (size_t i = 0; i < sizeof(*out) / sizeof(*to); i++)
		to[i] = ck_pr_load_64(&from[i]);
	out->switches += out->mails;
	out->guest_ticks += since_then(&c->turn_since, now);
	out->idle_ticks += since_then(&core->idle_since, now);
	out->task_ticks += since_then(&core->task_since, now);
	return now - core->since;
}

void sched_cpu_stats(u32 cpu, struct cpu_stats *out)
{
	u64 elapsed, used, before;
	u32 tries = 16;

	/* Read again if it went from one thing to the next meanwhile. */
	elapsed = stats_read(cpu, out);
	do {
		before = elapsed - out->guest_ticks - out->task_ticks -
			 out->idle_ticks;
		ck_pr_fence_load();
		elapsed = stats_read(cpu, out);
		used = out->guest_ticks + out->task_ticks + out->idle_ticks;
	} while (before != elapsed - used && --tries);
	/* Its clock may be a tick or so ahead of ours. */
	out->host_ticks = used < elapsed ? elapsed - used : 0;
}

u64 sched_cpu_beat(u32 cpu)
{
	const struct cpu *c = cpu_by_index(cpu);
	const struct sched_core *core = core_of(cpu_by_index(cpu));

	/* Odd factors, lest one grow by what another has lost. */
	return ck_pr_load_64(&c->stats.mails) +
	       3 * ck_pr_load_64(&c->turn_since) +
	       5 * ck_pr_load_64(&core->idle_since) +
	       7 * ck_pr_load_64(&core->task_since);
}
