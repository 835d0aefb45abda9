import { SockhopServer } from '../index';

export = SockhopServer;
