import { SockhopSocket } from '../index';

export = SockhopSocket;
