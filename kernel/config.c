/*
 * The one place where a complaint about a lab, an image or a knob is formatted.
 *
 * Such a line quotes names and values that came from outside and ends up on a
 * terminal, so nothing that a terminal would obey may pass.
 */
#include "kernel/config.h"

#include <stdarg.h>
#include <stdio.h>

int config_error(struct lab_error *err, const char *fmt, ...)
{
	va_list ap;

	va_start(ap, fmt);
	vsnprintf(err->text, sizeof(err->text), fmt, ap);
	va_end(ap);
	for (char *p = err->text; *p; p++)
		if (*p < ' ' || *p > '~')
			*p = '?';
	return -EINVAL;
}
