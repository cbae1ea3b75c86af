/*
 * Boot arguments, `key=value` words, and the numbers that come from them.
 *
 * Numbers are decimal or 0x hexadecimal, with an optional K, M or G (binary).
 * strtoul is not used: picolibc's errno lives behind tp, which is ours.
 */
#include "guests/baremetal/runtime/runtime.h"

/* The text after `key=`, or NULL. */
static const char *find(const char *key)
{
	size_t n = strlen(key);
	const char *s = machine.bootargs;

	while (*s) {
		if (!strncmp(s, key, n) && s[n] == '=')
			return s + n + 1;
		while (*s && *s != ' ')
			s++;
		while (*s == ' ')
			s++;
	}
	return NULL;
}

static int digit(char c)
{
	if (c >= '0' && c <= '9')
		return c - '0';
	if (c >= 'a' && c <= 'f')
		return c - 'a' + 10;
	if (c >= 'A' && c <= 'F')
		return c - 'A' + 10;
	return 99;
}

u64 arg_u64(const char *key, u64 otherwise)
{
	const char *s = find(key);
	int base = 10;
	u64 v = 0;

	if (!s)
		return otherwise;
	if (s[0] == '0' && s[1] == 'x') {
		base = 16;
		s += 2;
	}
	if (digit(*s) >= base)
		die("boot arguments: %s= wants a number", key);
	for (; digit(*s) < base; s++)
		v = v * (u64)base + (u64)digit(*s);
	if (*s == 'K')
		v <<= 10, s++;
	else if (*s == 'M')
		v <<= 20, s++;
	else if (*s == 'G')
		v <<= 30, s++;
	if (*s && *s != ' ')
		die("boot arguments: %s= wants a number", key);
	return v;
}

bool arg_str(const char *key, char *buf, size_t bytes)
{
	const char *s = find(key);
	size_t n = 0;

	if (!s)
		return false;
	for (; s[n] && s[n] != ' ' && n + 1 < bytes; n++)
		buf[n] = s[n];
	buf[n] = 0;
	return true;
}

/* splitmix64: any two seeds or streams give unrelated states. */
void rand_seed(struct rand *r, u64 stream)
{
	u64 z = arg_u64("seed", 1) * 0x9e3779b97f4a7c15 + stream;

	z = (z ^ z >> 30) * 0xbf58476d1ce4e5b9;
	z = (z ^ z >> 27) * 0x94d049bb133111eb;
	z ^= z >> 31;
	r->state = z ? z : 1;
}

u64 rand_next(struct rand *r)
{
	u64 x = r->state;

	x ^= x >> 12;
	x ^= x << 25;
	x ^= x >> 27;
	r->state = x;
	return x * 0x2545f4914f6cdd1d;
}

u64 rand_below(struct rand *r, u64 n)
{
	return (u64)((unsigned __int128)rand_next(r) * n >> 64);
}
