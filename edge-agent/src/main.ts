#!/usr/bin/env node
import { keepMemorySmall } from './small-memory.ts';

keepMemorySmall();
// Only now, because loading a program makes garbage by the megabyte.
await import('./command-line.ts');
