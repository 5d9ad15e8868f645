from portus.cli import main

main(prog_name="portus")
