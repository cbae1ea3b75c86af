/*
 * Who polls the UART's line status beside its lock, while the console types:
 * what it announces is there, each character once and in order, and when all
 * was read it announces nothing.
 */
/* sources: emul/uart.c emul/uart_chip.c emul/bus.c emul/devices.c
 *          kernel/config.c tests/unit/fake_emul.c tests/unit/fake_chip.c
 *          tests/unit/fake_trace.c */
#include <pthread.h>
#include <sched.h>
#include <stdlib.h>

#include "tests/unit/fake_emul.h"

#define AT    0x10000000ull
#define DATA  0
#define FCR   2
#define LSR   5
#define READY 0x01u

#define CHARACTERS 5000

static struct emul_dev *uart;

/* Those that the guest has not made room for are typed once more. */
static void *type(void *arg)
{
	unsigned int seed = 1;

	(void)arg;
	for (u32 n = 0; n < CHARACTERS;) {
		u32 some = 1 + (u32)rand_r(&seed) % 20, taken;
		char text[20];

		if (some > CHARACTERS - n)
			some = CHARACTERS - n;
		for (u32 i = 0; i < some; i++)
			text[i] = (char)(n + i);
		taken = (u32)uart->ops->input(uart, text, some);
		n += taken;
		if (taken < some)
			sched_yield();
	}
	return NULL;
}

/* fifo: what FCR is. */
static void all_is_read(u8 fifo)
{
	pthread_t typist;
	u32 wrong = 0, status;

	uart = emul_find(&fake.guest, "uart");
	fake_write(AT + FCR, 1, fifo);
	pthread_create(&typist, NULL, type, NULL);
	for (u32 n = 0; n < CHARACTERS;) {
		status = (u32)fake_read(AT + LSR, 1);
		if (!(status & READY)) {
			sched_yield();
			continue;
		}
		wrong += (u8)fake_read(AT + DATA, 1) != (u8)n++;
	}
	pthread_join(typist, NULL);
	assert_int_equal(wrong, 0);
	assert_int_equal(fake_read(AT + LSR, 1), 0x60);
}

static void what_is_announced_is_there(void **state)
{
	(void)state;
	all_is_read(0);
}

static void so_it_is_with_the_fifo(void **state)
{
	(void)state;
	all_is_read(1);
}

#define T(f) \
	cmocka_unit_test_setup_teardown(f, fake_devices_start, \
					fake_devices_stop)

int main(void)
{
	const struct CMUnitTest tests[] = {
		T(what_is_announced_is_there),
		T(so_it_is_with_the_fifo),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
