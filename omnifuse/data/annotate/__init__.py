"""Labels made by people and by rules: out to Label Studio and back, agreement, several labels into one."""
