"""A package, so that none of the same name takes its place: wheels of verl and TransferQueue bring one."""
