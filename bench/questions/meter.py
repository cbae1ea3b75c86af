from meter import operations, table

TITLE = table.TITLE
QUESTION = table.QUESTION
COLUMNS = table.columns(table.stage_names())

# Harts that wait for one another are real threads of the build host here: what
# else runs there makes outliers.
ALONE = True
COST_S = 22


def cases(b):
    return [{"machine": key, "part": part}
            for key in b.some(*operations.MACHINES)
            for part in operations.PARTS]


def measure(b, machine, part):
    found = operations.counted(b, machine, part)
    return table.lines_of(machine, found)


def rows(done):
    return table.in_order([row for _, some, _ in done for row in some])


def plots(done):
    return []       # bench/report_meter.py draws it
