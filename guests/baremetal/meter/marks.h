/*
 * The numbers of the markers: read by the guest and by bench/meter.
 *
 * Markers below 1 << MARK_ROW_SHIFT are those of handlers, which don't know
 * what row they serve. All others are a row's number, shifted, and a kind.
 */
#define MARK_SOFT     1 /* first instructions of the handler of an IPI */
#define MARK_TIMER    2
#define MARK_EXTERNAL 3
#define MARK_STARTED  4 /* first instruction of a hart that was started */

#define MARK_ROW_SHIFT 3
#define MARK_BEGIN     0 /* the next instructions are the operation */
#define MARK_SENT      1 /* this hart has done its part */
#define MARK_END       2 /* all is done */
#define MARK_OUT       4 /* + 0 or 1: that vCPU gives way */
#define MARK_IN        6 /* + 0 or 1: that vCPU is back */

#define ROW_SBI_BASE	    1
#define ROW_SET_TIMER	    2
#define ROW_PLIC_LOAD	    3
#define ROW_PLIC_STORE	    4
#define ROW_UART_LOAD	    5
#define ROW_UART_STORE	    6
#define ROW_IPI_SELF	    7
#define ROW_WFI_PENDING	    8
#define ROW_TIMER_ASLEEP    9
#define ROW_TIMER_RUNNING   10
#define ROW_FAULT_4K	    11
#define ROW_FAULT_2M	    12
#define ROW_RFENCE_SELF	    13
#define ROW_IPI_ASLEEP	    16
#define ROW_IPI_RUNNING	    17
#define ROW_IPI_QUEUED	    18
#define ROW_IPI_NEAR	    19
#define ROW_PLIC_ASLEEP	    20
#define ROW_PLIC_RUNNING    21
#define ROW_PLIC_QUEUED	    22
#define ROW_PLIC_NEAR	    23
#define ROW_RFENCE_RUNNING  24
#define ROW_HART_START	    25
#define ROW_SWITCH_INTEGER  32
#define ROW_SWITCH_FP	    33
#define ROW_SWITCH_VECTOR   34
#define ROW_OTHER_INTEGER   35
#define ROW_OTHER_FP	    36
#define ROW_OTHER_VECTOR    37
#define ROW_WAKE	    40
#define ROW_PICK	    41

/* Of known length, for the meter's own test. */
#define ROW_COUNT_LINE	 48
#define ROW_COUNT_LOOP	 49
#define ROW_COUNT_TRAP	 50
#define ROW_COUNT_BROKEN 51
